//! The checker of histories finds what it is there to find, in histories that are made up.

use super::history::History;
use super::model::{Action, Answer, Record, Status};

/// What a client is told of a queued image.
fn queued(value: u32) -> Answer {
    Answer::Seen(Record {
        status: Status::Queued,
        data: None,
        value,
        claim: None,
    })
}

fn with_data(data: u32, value: u32) -> Answer {
    Answer::Seen(Record {
        status: Status::Active,
        data: Some(data),
        value,
        claim: None,
    })
}

/// Operations one after the other, each by a client of its own.
fn sequence(operations: &[(Action, Answer)]) -> History {
    let mut history = History::default();
    for (client, (action, answer)) in operations.iter().enumerate() {
        let operation = history.begin(client, *action);
        history.end(operation, *answer);
    }
    history
}

#[test]
fn history_in_which_every_answer_is_right_passes() {
    let history = sequence(&[
        (Action::Read, Answer::Missing),
        (Action::Create, Answer::Done),
        (Action::Create, Answer::Conflict),
        (Action::Write(1), queued(1)),
        (Action::ReadShared, Answer::Missing),
        (Action::Share, Answer::Done),
        (Action::ReadShared, queued(1)),
        (Action::Download, Answer::Data(None)),
        (Action::Begin(7), Answer::Done),
        (Action::Begin(8), Answer::Conflict),
        (Action::Finish(7), Answer::Done),
        (Action::Read, with_data(7, 1)),
        (Action::Deactivate, Answer::Done),
        (Action::Download, Answer::Forbidden),
        (Action::Reactivate, Answer::Done),
        (Action::Download, Answer::Data(Some(7))),
        (Action::Delete, Answer::Done),
        (Action::Read, Answer::Missing),
        (Action::Create, Answer::Conflict),
    ]);
    assert_eq!(history.explain(), Ok(()));
}

#[test]
fn read_that_is_older_than_an_answered_write_is_found() {
    for (write, stale) in [
        (Action::Write(2), queued(0)),
        (Action::Delete, queued(0)),
        (Action::Share, Answer::Missing),
    ] {
        let read = match write {
            Action::Share => Action::ReadShared,
            _ => Action::Read,
        };
        let mut history = History::default();
        let create = history.begin(0, Action::Create);
        history.end(create, Answer::Done);
        let writing = history.begin(0, write);
        let early = history.begin(1, read);
        // While the write is under way either answer is right.
        history.end(early, stale);
        history.end(writing, answer_to(write));
        assert_eq!(history.explain(), Ok(()));
        let late = history.begin(1, read);
        history.end(late, stale);
        let found = history.explain().unwrap_err();
        assert!(found.contains(&format!("{read:?}: {stale:?}")), "{found}");
    }
}

fn answer_to(write: Action) -> Answer {
    match write {
        Action::Write(value) => queued(value),
        _ => Answer::Done,
    }
}

#[test]
fn read_that_goes_back_is_found() {
    let mut history = sequence(&[(Action::Create, Answer::Done)]);
    history.begin(9, Action::Write(1));
    for (client, value) in [(1, 0), (2, 1), (1, 0)] {
        let read = history.begin(client, Action::Read);
        history.end(read, queued(value));
    }
    assert!(history.explain().is_err());
}

#[test]
fn two_who_win_one_race_are_found() {
    for (action, other, answer) in [
        (Action::Create, Action::Create, Answer::Done),
        (Action::Begin(1), Action::Begin(2), Answer::Done),
        (Action::Share, Action::Share, Answer::Done),
    ] {
        let mut history = History::default();
        if action != Action::Create {
            let create = history.begin(0, Action::Create);
            history.end(create, Answer::Done);
        }
        let (one, two) = (history.begin(1, action), history.begin(2, other));
        history.end(one, answer);
        assert_eq!(history.explain(), Ok(()));
        history.end(two, answer);
        assert!(history.explain().is_err(), "{action:?}");
    }
}

#[test]
fn what_was_not_answered_may_have_happened_or_not_also_later() {
    for seen in [&[0, 0, 0][..], &[0, 0, 5], &[0, 5, 5], &[5, 5, 5]] {
        let mut history = sequence(&[(Action::Create, Answer::Done)]);
        history.begin(1, Action::Write(5));
        for value in seen {
            let read = history.begin(2, Action::Read);
            history.end(read, queued(*value));
        }
        assert_eq!(history.explain(), Ok(()), "{seen:?}");
    }
    // But not before it was asked for.
    let early = sequence(&[(Action::Create, Answer::Done), (Action::Read, queued(5))]);
    let mut early = early;
    early.begin(1, Action::Write(5));
    assert!(early.explain().is_err());
}

#[test]
fn many_doubts_and_overlapping_operations_are_decided() {
    let mut history = sequence(&[(Action::Create, Answer::Done)]);
    for n in 1..=8 {
        history.begin(10 + n, Action::Write(100 + n as u32));
    }
    for round in 0..6 {
        let reads: Vec<usize> = (0..6)
            .map(|client| history.begin(client, Action::Read))
            .collect();
        for read in reads {
            history.end(read, queued(if round < 3 { 0 } else { 103 }));
        }
    }
    assert_eq!(history.explain(), Ok(()));
    let read = history.begin(0, Action::Read);
    history.end(read, queued(0));
    assert!(history.explain().is_err());
}
