//! A row's answered attempts in the ledger.

use std::sync::Arc;

use super::{
    journal::{Answered, AnsweredAttempt, AttemptJournal, RecordedAttempt},
    ledger::{ItemId, Ledger},
};
use crate::{BoxFuture, Error, chat::Reply};

/// The journal of a row, or of a part of its call.
#[derive(Clone, Debug)]
pub(super) struct RowJournal {
    row: Arc<Row>,
    /// Names of parts, joined by `/`; empty for the row itself.
    part: String,
}

#[derive(Debug)]
struct Row {
    ledger: Arc<dyn Ledger>,
    item: ItemId,
    earlier: Vec<RecordedAttempt>,
}

impl RowJournal {
    /// The journal of an item, with what earlier runs recorded where it existed before this one.
    pub(super) fn open(
        ledger: Arc<dyn Ledger>,
        item: ItemId,
        existed: bool,
    ) -> Result<Arc<dyn AttemptJournal>, Error> {
        let earlier = if existed {
            ledger.attempts(item)?
        } else {
            Vec::new()
        };
        let row = Arc::new(Row {
            ledger,
            item,
            earlier,
        });
        let part = String::new();
        Ok(Arc::new(Self { row, part }))
    }

    fn of_this_part(&self) -> impl Iterator<Item = &Answered> {
        let all = self.row.earlier.iter();
        all.filter(|recorded| recorded.part == self.part)
            .map(|recorded| &recorded.answered)
    }

    async fn write(&self, answered: Answered) -> Result<(), Error> {
        let recorded = RecordedAttempt {
            part: self.part.clone(),
            answered,
        };
        let durable = self.row.ledger.record(self.row.item, recorded);
        durable
            .await
            .map_err(|_| Error::stopped("the ledger cannot be written"))
    }
}

impl AttemptJournal for RowJournal {
    fn earlier(&self) -> Vec<AnsweredAttempt> {
        let faulty = self.of_this_part().filter_map(|answered| match answered {
            Answered::Faulty(attempt) => Some(attempt.clone()),
            Answered::Good(_) => None,
        });
        faulty.collect()
    }

    fn record(&self, attempt: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.write(Answered::Faulty(attempt)))
    }

    fn part(&self, name: &str) -> Arc<dyn AttemptJournal> {
        let part = if self.part.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.part)
        };
        let row = self.row.clone();
        Arc::new(Self { row, part })
    }

    fn answer(&self) -> Option<Reply> {
        self.of_this_part().find_map(|answered| match answered {
            Answered::Good(record) => Reply::from_record(record),
            Answered::Faulty(_) => None,
        })
    }

    fn record_answer(&self, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.write(Answered::Good(reply.to_record())))
    }
}
