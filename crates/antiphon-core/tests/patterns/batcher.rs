use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{ErrorKind, patterns::DynamicBatcher};
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::rehearsed::{failed, paused};

type Groups = Arc<Mutex<Vec<Vec<u32>>>>;

/// Doubles numbers; notes its groups.
fn doubling(size: usize) -> (Arc<DynamicBatcher<u32, u32>>, Groups) {
    let groups = Groups::default();
    let notes = Arc::clone(&groups);
    let batcher = DynamicBatcher::new(
        size,
        Duration::from_millis(100),
        move |numbers: Vec<u32>| {
            notes.lock().unwrap().push(numbers.clone());
            async move {
                sleep(Duration::from_millis(10)).await;
                let double = |number: u32| match number {
                    13 => Err(failed(ErrorKind::BadRequest)),
                    number => Ok(number * 2),
                };
                // the last of a hundred is forgotten
                numbers
                    .into_iter()
                    .filter(|number| *number != 100)
                    .map(double)
                    .collect()
            }
        },
    );
    (Arc::new(batcher), groups)
}

#[tokio::test(start_paused = true)]
async fn a_full_group_begins_at_once_and_others_when_they_have_waited() {
    let (batcher, groups) = doubling(10);
    let begun = Instant::now();
    let results = join_all((0..10).map(|number| batcher.submit(number))).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10));
    assert!(
        results
            .into_iter()
            .map(Result::unwrap)
            .eq((0..10).map(|number| number * 2))
    );
    let first = batcher.submit(20);
    let late = async {
        sleep(Duration::from_millis(60)).await;
        batcher.submit(21).await
    };
    let begun = Instant::now();
    let (first, late) = tokio::join!(first, late);
    assert_eq!((first.unwrap(), late.unwrap()), (40, 42));
    assert_eq!(
        begun.elapsed(),
        Duration::from_millis(110),
        "the first waits no longer than it must"
    );
    assert_eq!(groups.lock().unwrap()[1], [20, 21]);
}

#[tokio::test(start_paused = true)]
async fn each_caller_hears_of_its_own_item() {
    let (batcher, _) = doubling(3);
    let (a, b, c) = tokio::join!(batcher.submit(13), batcher.submit(1), batcher.submit(100));
    assert_eq!(a.unwrap_err().kind(), ErrorKind::BadRequest);
    assert_eq!(b.unwrap(), 2);
    assert_eq!(c.unwrap_err().kind(), ErrorKind::BadResponse);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_left_out_and_work_for_nobody_is_dropped() {
    let (batcher, groups) = doubling(3);
    let hasty = tokio::time::timeout(Duration::from_millis(50), batcher.submit(7)).await;
    assert!(hasty.is_err());
    let begun = Instant::now();
    assert_eq!(batcher.submit(8).await.unwrap(), 16);
    assert_eq!(
        begun.elapsed(),
        Duration::from_millis(110),
        "a timer of its own"
    );
    assert_eq!(*groups.lock().unwrap(), [[8]]);

    let done = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&done);
    let slow = DynamicBatcher::new(1, Duration::ZERO, move |items: Vec<()>| {
        let flag = Arc::clone(&flag);
        async move {
            sleep(Duration::from_secs(9)).await;
            *flag.lock().unwrap() = true;
            items.into_iter().map(Ok).collect::<Vec<Result<(), _>>>()
        }
    });
    drop(tokio::time::timeout(Duration::from_secs(1), slow.submit(())).await);
    sleep(Duration::from_secs(20)).await;
    assert!(!*done.lock().unwrap());
}

proptest! {
    #[test]
    fn every_item_gets_its_own_result_and_no_group_is_too_large(delays in prop::collection::vec(0u64..300, 0..40), size in 0usize..6) {
        paused(async {
            let (batcher, groups) = doubling(size);
            let calls = delays.iter().enumerate().map(|(index, delay)| {
                let (batcher, number) = (Arc::clone(&batcher), 200 + index as u32);
                async move {
                    sleep(Duration::from_millis(*delay)).await;
                    (number, batcher.submit(number).await)
                }
            });
            for (number, result) in join_all(calls).await {
                prop_assert_eq!(result.unwrap(), number * 2);
            }
            let groups = groups.lock().unwrap();
            prop_assert!(groups.iter().all(|group| (1..=size.max(1)).contains(&group.len())));
            prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), delays.len());
            Ok(())
        })?;
    }
}
