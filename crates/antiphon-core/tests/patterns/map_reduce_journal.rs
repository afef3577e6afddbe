use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    BoxFuture, Error, Reply,
    job::{AnsweredAttempt, AttemptJournal},
};

use crate::{
    answering::{Answering, Said, answer, used},
    map_reduce::{documents, echo, echoing, is_map, reducing},
};

/// Keeps answers by the names of their parts.
#[derive(Clone, Debug, Default)]
struct Book {
    answers: Arc<Mutex<BTreeMap<String, String>>>,
    part: String,
}

impl AttemptJournal for Book {
    fn earlier(&self) -> Vec<AnsweredAttempt> {
        Vec::new()
    }
    fn record(&self, _: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn part(&self, name: &str) -> Arc<dyn AttemptJournal> {
        let part = format!("{}/{name}", self.part);
        Arc::new(Self {
            part,
            ..self.clone()
        })
    }
    fn answer(&self) -> Option<Reply> {
        Reply::from_record(self.answers.lock().unwrap().get(&self.part)?)
    }
    fn record_answer(&self, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        let known = self
            .answers
            .lock()
            .unwrap()
            .insert(self.part.clone(), reply.to_record());
        assert_eq!(known, None, "{} is asked once", self.part);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_recorded_is_not_asked_again() {
    let journal = Arc::new(Book::default());
    let slow = Answering::new(|request| Said {
        after: Duration::from_secs(if is_map(request) { 1 } else { 5 }),
        answer: Ok(answer(echo(request))),
    });
    let reduce = reducing(&slow).with_fan_in(2);
    let documents = documents(5);
    let killed = reduce.run_recorded(&documents, journal.clone());
    assert!(
        tokio::time::timeout(Duration::from_secs(8), killed)
            .await
            .is_err()
    );
    assert_eq!(
        journal.answers.lock().unwrap().len(),
        7,
        "five maps, two reduces"
    );

    let fresh = echoing();
    let again = reducing(&fresh).with_fan_in(2);
    let result = again
        .run_recorded(&documents, journal.clone())
        .await
        .unwrap();
    assert_eq!(result.text, "(((m0 m1) (m2 m3)) m4)");
    assert_eq!(fresh.asked().len(), 2);
    assert_eq!((result.spent.calls, result.spent.attempts), (9, 2));
    assert_eq!(result.spent.usage(), Some(used(9)));
}
