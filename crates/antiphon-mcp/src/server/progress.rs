//! How far a call is, told to a client that has asked for it.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, pending};
use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{Progress, tool::Step};

/// The shortest time from one notification to the next: clients draw each of them.
const PACE: Duration = Duration::from_millis(250);

/// A tool's end of it, and where its steps come out: nothing does where the client has not asked.
pub(super) fn channel(is_asked_for: bool) -> (Progress, mpsc::UnboundedReceiver<Step>) {
    let (told, steps) = mpsc::unbounded_channel();
    let told = is_asked_for.then_some(told);
    (Progress { told }, steps)
}

/// Does the work and tells its steps meanwhile, in the same task: on Streamable HTTP they then travel on the call's own
/// stream.
pub(super) async fn told<F: Future>(
    work: F,
    steps: mpsc::UnboundedReceiver<Step>,
    context: &RequestContext<RoleServer>,
) -> F::Output {
    let Some(token) = context.meta.get_progress_token() else {
        return work.await;
    };
    let tell = |step| tell(&context.peer, token.clone(), step);
    paced(work, steps, tell).await
}

async fn tell(peer: &Peer<RoleServer>, token: ProgressToken, step: Step) {
    let mut told = ProgressNotificationParam::new(token, step.done as f64);
    told.total = step.total.map(|total| total as f64);
    told.message = step.message;
    // a client that is gone hears nothing
    let _gone = peer.notify_progress(told).await;
}

/// Each step that is told has more done than the one before. Of those that come faster than the pace only the latest is
/// told; what has been done at the end is told before the end is.
async fn paced<F, T>(
    work: F,
    mut steps: mpsc::UnboundedReceiver<Step>,
    tell: impl Fn(Step) -> T,
) -> F::Output
where
    F: Future,
    T: Future<Output = ()>,
{
    let mut work = pin!(work);
    let mut telling = pin!(None::<T>);
    let mut latest: Option<Step> = None;
    let mut most = None;
    let mut due = Instant::now();
    let output = loop {
        let is_telling = telling.is_some();
        let tells = match telling.as_mut().as_pin_mut() {
            Some(telling) => Either::Left(telling),
            None => Either::Right(pending()),
        };
        tokio::select! {
            biased;
            output = &mut work => break output,
            () = tells => telling.set(None),
            Some(step) = steps.recv() => note(step, &mut latest, &mut most),
            () = sleep_until(due), if latest.is_some() && !is_telling => {
                telling.set(latest.take().map(&tell));
                due = Instant::now() + PACE;
            }
        }
    };
    if let Some(telling) = telling.as_mut().as_pin_mut() {
        telling.await;
    }
    while let Ok(step) = steps.try_recv() {
        note(step, &mut latest, &mut most);
    }
    if let Some(last) = latest {
        tell(last).await;
    }
    output
}

/// Takes a step that goes further than all before.
fn note(step: Step, latest: &mut Option<Step>, most: &mut Option<u64>) {
    if most.is_none_or(|most| step.done > most) {
        *most = Some(step.done);
        *latest = Some(step);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// What is told of steps, each so many milliseconds after the one before, and when.
    async fn heard(steps: Vec<(u64, u64)>) -> Vec<(u64, u128)> {
        let heard = Mutex::new(Vec::new());
        let begun = Instant::now();
        let (progress, inbox) = channel(true);
        let work = async move {
            for (after, done) in steps {
                tokio::time::sleep(Duration::from_millis(after)).await;
                progress.tell(done, None, None);
            }
        };
        let tell = async |step: Step| {
            let at = begun.elapsed().as_millis();
            heard.lock().unwrap().push((step.done, at));
        };
        paced(work, inbox, &tell).await;
        heard.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn steps_in_a_hurry_are_told_at_a_pace_and_the_last_one_always() {
        let steps = (1..=100).map(|done| (10, done)).collect();
        let heard = heard(steps).await;
        let done: Vec<u64> = heard.iter().map(|(done, _)| *done).collect();
        assert_eq!(done, [1, 26, 51, 76, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_back_or_stands_still_is_not_told() {
        let heard = heard(vec![(0, 3), (300, 2), (300, 3), (300, 4)]).await;
        assert_eq!(heard, [(3, 0), (4, 900)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_holds_up_nothing_but_the_end() {
        let (progress, inbox) = channel(true);
        let (reads, reading) = tokio::sync::oneshot::channel::<()>();
        let reading = Mutex::new(Some(reading));
        let work = async move {
            for done in 0..1000 {
                progress.tell(done, None, None);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(reads);
        };
        let tell = async |_: Step| {
            let reading = reading.lock().unwrap().take();
            if let Some(reading) = reading {
                let _at_the_end = reading.await;
            }
        };
        paced(work, inbox, &tell).await;
    }

    proptest! {
        #[test]
        fn what_is_told_grows_and_ends_with_the_most(steps in prop::collection::vec((0..400_u64, 0..50_u64), 0..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let heard = runtime.block_on(heard(steps.clone()));
            prop_assert!(heard.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert_eq!(heard.last().map(|(done, _)| *done), steps.iter().map(|(_, done)| *done).max());
            let spaced = &heard[..heard.len().saturating_sub(1)];
            prop_assert!(spaced.is_sorted_by(|a, b| b.1 - a.1 >= PACE.as_millis()));
        }
    }
}
