//! The ledger through its own trait: what is committed is there, what is damaged is not, what is broken is salvaged.

use std::{path::Path, sync::mpsc};

use antiphon_core::{
    ErrorKind, Fingerprint, FinishReason, Spent, Usage, Usd,
    job::{
        Answered, AnsweredAttempt, Checkpoint, Finished, Ledger, LedgerEvent, Outcome, PlannedRow,
        RecordedAttempt, Verdict,
    },
    layers::spend::Vault,
};
use rusqlite::Connection;

use super::{SqliteLedger, open_or_salvage, sums};

fn print_of(name: &str) -> Fingerprint {
    Fingerprint::of_bytes("test", name.as_bytes())
}

pub(super) fn row(index: u64, item: i64, name: &str, occurrence: u32) -> PlannedRow {
    PlannedRow {
        index,
        hash: *print_of(&format!("line {index}")).as_bytes(),
        item,
        fingerprint: print_of(name),
        occurrence,
        custom_id: format!("row-{index}"),
        owns_custom_id: false,
        input: (index == 1).then(|| "{\"q\":1}".into()),
        intent: true,
    }
}

pub(super) fn outcome(text: &str, error: Option<ErrorKind>) -> Outcome {
    Outcome {
        error,
        attempts: 2,
        finish: error.is_none().then_some(FinishReason::Stop),
        usage: Usage {
            input_tokens: 7,
            output_tokens: 3,
            ..Usage::default()
        },
        cost: None,
        latency_us: 812_400,
        head: format!("\"response\":{{\"body\":{text:?}}},\"error\":null"),
        details: format!("\"text\":{text:?}"),
    }
}

/// Plans rows, commits outcomes and closes the ledger, as a run does.
pub(super) fn write(folder: &Path, rows: Vec<PlannedRow>, outcomes: Vec<(u64, i64, Outcome)>) {
    let ledger = SqliteLedger::open(folder).unwrap();
    let (told, events) = mpsc::channel();
    ledger.listen(Box::new(move |event| told.send(event).unwrap()));
    ledger.plan(rows).blocking_recv().unwrap();
    let expected = outcomes.len();
    for (index, item, outcome) in outcomes {
        ledger.commit(Finished {
            index,
            item,
            outcome,
            receipt: None,
        });
    }
    ledger.checkpoint(Checkpoint {
        rows: 2,
        bytes: 99,
        tail: [7; 16],
    });
    ledger.finish(true);
    let mut committed = 0;
    for event in events {
        match event {
            LedgerEvent::Committed(group) => committed += group.len(),
            LedgerEvent::Failed(error) => panic!("{error}"),
            LedgerEvent::Closed => break,
        }
    }
    assert_eq!(committed, expected);
}

fn sample(folder: &Path) {
    write(
        folder,
        vec![row(0, 0, "a", 0), row(1, 1, "b", 0), row(2, 2, "a", 1)],
        vec![
            (2, 2, outcome("second a", None)),
            (1, 1, outcome("", Some(ErrorKind::Timeout))),
        ],
    );
}

#[test]
fn a_later_run_finds_what_an_earlier_one_committed() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    assert!(!ledger.is_new());
    assert_eq!(ledger.next_item(), 3);
    let layout: Vec<_> = ledger.layout(0).map(Result::unwrap).collect();
    let verdicts: Vec<_> = layout.iter().map(|row| row.verdict).collect();
    let timeout = Some(ErrorKind::Timeout);
    assert_eq!(
        verdicts,
        [
            None,
            Some(Verdict {
                error: timeout,
                run: 1
            }),
            Some(Verdict {
                error: None,
                run: 1
            })
        ]
    );
    let output = ledger.output(1, 3).unwrap();
    assert_eq!(output.len(), 2);
    assert_eq!(output[0].input.as_deref(), Some("{\"q\":1}"));
    assert_eq!(output[1].outcome, outcome("second a", None));
    assert_eq!(output[1].id, format!("{}-1", print_of("a")));
    let checkpoint = ledger.last_checkpoint().unwrap();
    assert_eq!(
        (checkpoint.rows, checkpoint.bytes, checkpoint.tail),
        (2, 99, [7; 16])
    );
    assert!(ledger.layout_is_whole().unwrap());
}

#[test]
fn the_kth_of_equal_rows_takes_the_kth_answer() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    ledger.begin_changed_input().unwrap();
    // of the two equal items only the second was answered: the first row that asks gets it
    let answered = Some(Verdict {
        error: None,
        run: 1,
    });
    assert_eq!(ledger.find(print_of("a"), 0).unwrap(), Some((2, answered)));
    assert_eq!(ledger.find(print_of("a"), 1).unwrap(), Some((0, None)));
    assert_eq!(ledger.find(print_of("a"), 2).unwrap(), None);
    assert_eq!(ledger.find(print_of("c"), 0).unwrap(), None);
    assert_eq!(ledger.layout(0).count(), 0);
    assert!(!ledger.layout_is_whole().unwrap());
}

#[test]
fn an_outcome_of_this_run_does_not_move_the_order() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    let (told, events) = mpsc::channel();
    ledger.listen(Box::new(move |event| drop(told.send(event))));
    ledger.begin_changed_input().unwrap();
    ledger.commit(Finished {
        index: 0,
        item: 0,
        outcome: outcome("first a", None),
        receipt: None,
    });
    assert!(matches!(events.recv().unwrap(), LedgerEvent::Committed(_)));
    assert_eq!(ledger.find(print_of("a"), 0).unwrap().unwrap().0, 2);
}

#[test]
fn answered_attempts_survive_until_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = AnsweredAttempt {
        text: "{}".to_owned(),
        fault: "/score is missing".to_owned(),
        spent: Spent::answer(Some(Usage {
            input_tokens: 5,
            ..Usage::default()
        })),
    };
    let of = |part: &str, answered| RecordedAttempt {
        part: part.to_owned(),
        answered,
    };
    let recorded = [
        of("", Answered::Faulty(attempt.clone())),
        of("1", Answered::Faulty(attempt)),
        of("1", Answered::Good("{\"model\":\"sim/a\"}".to_owned())),
    ];
    {
        let ledger = SqliteLedger::open(folder.path()).unwrap();
        for recorded in recorded.clone() {
            ledger.record(4, recorded).blocking_recv().unwrap();
        }
    }
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    assert_eq!(ledger.attempts(4).unwrap(), recorded);
    assert!(ledger.attempts(5).unwrap().is_empty());
}

#[test]
fn a_flipped_value_is_as_if_absent() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let path = folder.path().join(SqliteLedger::FILE);
    let database = Connection::open(path).unwrap();
    database
        .execute("UPDATE outcomes SET head = head || ' ' WHERE item = 2", [])
        .unwrap();
    database
        .execute(
            "UPDATE outcomes SET error = 'bad_request' WHERE item = 1",
            [],
        )
        .unwrap();
    database
        .execute("UPDATE layout SET custom_id = 'x' WHERE row = 0", [])
        .unwrap();
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    assert!(!ledger.is_sound(2).unwrap());
    for row in 0..3 {
        // a row that was promised and is not there is never passed over in silence
        assert!(ledger.output(row, row + 1).is_err(), "row {row}");
    }
    let layout: Vec<_> = ledger.layout(0).map(Result::unwrap).collect();
    assert_eq!(layout[0].hash, [0; 16]);
    assert_eq!(layout[1].verdict, None);
    assert_eq!(
        layout[2].verdict,
        Some(Verdict {
            error: None,
            run: 1
        })
    );
}

#[test]
fn a_broken_file_is_salvaged_and_this_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..400).map(|index| row(index, index as i64, &format!("p{index}"), 0));
    let outcomes = (0..400).map(|index| (index, index as i64, outcome(&"x".repeat(500), None)));
    write(folder.path(), rows.collect(), outcomes.collect());
    let path = folder.path().join(SqliteLedger::FILE);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // a page in the middle, a leaf of some table
    let size = usize::from(super::schema::PAGE_BYTES);
    let page = bytes.len() / size / 2;
    bytes[page * size..(page + 1) * size].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    // the run that meets the broken page notes it, the next one mends it
    let (ledger, _) = open_or_salvage(folder.path()).unwrap();
    assert!((0..400).any(|item| ledger.is_sound(item).is_err()));
    assert!(ledger.is_broken());
    drop(ledger);
    let (ledger, told) = open_or_salvage(folder.path()).unwrap();
    let told = told.expect("a broken page is noticed");
    assert!(told.contains("ledger.damaged-1.db"), "{told}");
    ledger.begin_changed_input().unwrap();
    let kept = (0..400)
        .filter(|index| {
            let found = ledger.find(print_of(&format!("p{index}")), 0).unwrap();
            found.is_some_and(|(item, verdict)| verdict.is_some() && ledger.is_sound(item).unwrap())
        })
        .count();
    assert!(kept > 300, "only {kept} of 400 answers were saved");
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(SqliteLedger::FILE), [0x5a; 9000]).unwrap();
    let (ledger, told) = open_or_salvage(folder.path()).unwrap();
    assert!(told.is_some());
    assert!(ledger.is_new());
}

#[test]
fn a_newer_ledger_is_refused() {
    // one that says it twice, one whose note cannot be read, and one that has other tables
    for noted in [
        format!(
            "REPLACE INTO meta VALUES ('version', '99', {})",
            sums::meta("version", "99")
        ),
        "UPDATE meta SET sum = sum + 1 WHERE key = 'version'".to_owned(),
        "DROP TABLE meta".to_owned(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path());
        let change = format!("PRAGMA user_version=99; {noted}");
        change_file(folder.path(), &change);
        let error = open_or_salvage(folder.path()).unwrap_err();
        assert!(error.to_string().contains("newer"), "{noted}: {error}");
    }
}

#[test]
fn a_version_that_is_a_flipped_bit_is_put_right() {
    for bit in 0..32 {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path());
        let flipped = (2u32 ^ (1 << bit)).cast_signed();
        change_file(folder.path(), &format!("PRAGMA user_version={flipped}"));
        for _ in 0..2 {
            let (ledger, told) = open_or_salvage(folder.path()).unwrap();
            assert_eq!((ledger.next_item(), told), (3, None), "bit {bit}");
        }
    }
}

fn change_file(folder: &Path, change: &str) {
    let file = Connection::open(folder.join(SqliteLedger::FILE)).unwrap();
    file.execute_batch(change).unwrap();
}

#[test]
fn a_ledger_of_version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = AnsweredAttempt {
        text: "{}".to_owned(),
        fault: "/score is missing".to_owned(),
        spent: Spent::answer(None),
    };
    let recorded = RecordedAttempt {
        part: String::new(),
        answered: Answered::Faulty(attempt),
    };
    {
        let ledger = SqliteLedger::open(folder.path()).unwrap();
        ledger.record(4, recorded.clone()).blocking_recv().unwrap();
    }
    // what version 1 lacked is taken away; the record's sum is the one that version 1 wrote
    let older = "ALTER TABLE attempts DROP COLUMN part; PRAGMA user_version=1";
    change_file(folder.path(), older);
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    assert_eq!(ledger.attempts(4).unwrap(), [recorded]);
}

#[test]
fn outcomes_are_known_as_earlier_ones_without_the_number_of_the_last_run() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    change_file(
        folder.path(),
        "UPDATE meta SET sum = sum + 1 WHERE key = 'run'",
    );
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    ledger.begin_changed_input().unwrap();
    let print = ledger.layout(0).next();
    assert!(print.is_none(), "the layout is mapped anew");
    let (item, verdict) = ledger.find(print_of("a"), 0).unwrap().unwrap();
    assert_eq!(
        (item, verdict),
        (
            2,
            Some(Verdict {
                error: None,
                run: 1
            })
        )
    );
}

#[test]
fn what_all_runs_have_spent_adds_up_over_kills_and_releases() {
    let folder = tempfile::tempdir().unwrap();
    let spent = |picos| Spent::answer(Some(Usage::default())).priced(Some(Usd::from_picos(picos)));
    let run = |index: u64, now: Spent| {
        let ledger = SqliteLedger::open(folder.path()).unwrap();
        let earlier = ledger.count_spent(move || now).unwrap();
        ledger
            .plan(vec![row(index, ledger.next_item(), "a", 0)])
            .blocking_recv()
            .unwrap();
        // nobody says that it is finished: it is killed here
        earlier
    };
    assert_eq!(run(0, spent(5)), Spent::default());
    assert_eq!(run(1, spent(3)), spent(5));
    assert_eq!(run(2, Spent::default()), spent(5) + spent(3));
    assert_eq!(run(3, Spent::default()), spent(5) + spent(3));

    let old = tempfile::tempdir().unwrap();
    sample(old.path());
    let ledger = SqliteLedger::open(old.path()).unwrap();
    let earlier = ledger.count_spent(Spent::default).unwrap();
    assert_eq!(earlier.known_cost(), None, "outcomes without a note");
}

/// What a next run begins with, where so much is known of the runs before.
fn most_spent(folder: &Path, known: u64) -> u64 {
    let ledger = SqliteLedger::open(folder).unwrap();
    ledger.most_spent(Usd::from_picos(known)).unwrap().picos()
}

fn keep(folder: &Path, ceiling: u64) {
    let vault = SqliteLedger::open(folder).unwrap().vault();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(vault.keep(Usd::from_picos(ceiling)))
        .unwrap();
}

#[test]
fn a_ceiling_covers_the_runs_before_it_and_known_costs_those_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // without a budget what is known is all there is
    assert_eq!(most_spent(folder, 5), 5);
    assert_eq!(most_spent(folder, 8), 8);
    // killed below its ceiling
    keep(folder, 20);
    assert_eq!(most_spent(folder, 11), 20);
    // two runs without a budget cost 4 and 3 more
    assert_eq!(most_spent(folder, 15), 24);
    assert_eq!(most_spent(folder, 18), 27);
    // the next budget knows better: it had begun with 27 and used 2
    keep(folder, 29);
    assert_eq!(most_spent(folder, 20), 29);
    // a provider's surprise
    keep(folder, 29);
    assert_eq!(most_spent(folder, 31), 31);
    // a note that is damaged leaves what is known
    change_file(
        folder,
        "UPDATE meta SET sum = sum + 1 WHERE key = 'ceiling'",
    );
    assert_eq!(most_spent(folder, 31), 31);
}
