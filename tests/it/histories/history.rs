//! What was done with one image and what was answered, in the order of beginnings and ends; and whether there is an order of
//! moments that explains it.
//!
//! The search is stateright's. It tries orders without remembering what it has tried, which takes for ever where many
//! operations overlap; so the register remembers: the same operations that leave the same image are gone on from once.
//!
//! An operation without a certain answer may have happened at any time since its beginning, or never. To the search it ends
//! after all others, with an answer that fits everything: what never happened is then put at the very end, where nobody sees
//! it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::model::{Action, Answer, Image};

/// Operations of one history: they are kept in the bits of a number.
const LONGEST: usize = 128;

/// Longer histories, and those with more doubts, are not gone on with: the search would take too long.
const LONG: usize = 70;
const DOUBTFUL: usize = 8;

#[derive(Default)]
pub struct History {
    operations: Vec<Operation>,
    events: Vec<Event>,
}

struct Operation {
    client: usize,
    action: Action,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    /// None yet, or none that is certain.
    Doubt,
    Answered(Answer),
    /// It did not happen.
    Nothing,
}

#[derive(Clone, Copy)]
enum Event {
    Begin(usize),
    End(usize),
}

impl History {
    /// A client begins something; gives its number in the history.
    pub fn begin(&mut self, client: usize, action: Action) -> usize {
        self.operations.push(Operation {
            client,
            action,
            outcome: Outcome::Doubt,
        });
        self.events.push(Event::Begin(self.operations.len() - 1));
        self.operations.len() - 1
    }

    /// It was answered.
    pub fn end(&mut self, operation: usize, answer: Answer) {
        self.operations[operation].outcome = Outcome::Answered(answer);
        self.events.push(Event::End(operation));
    }

    /// It did not happen, or it was a read that told nothing.
    pub fn forget(&mut self, operation: usize) {
        self.operations[operation].outcome = Outcome::Nothing;
    }

    /// How many operations there are that tell something.
    pub fn len(&self) -> usize {
        let told = |it: &&Operation| it.outcome != Outcome::Nothing;
        self.operations.iter().filter(told).count()
    }

    /// How many have no certain answer.
    pub fn doubts(&self) -> usize {
        let doubtful = |it: &&Operation| it.outcome == Outcome::Doubt;
        self.operations.iter().filter(doubtful).count()
    }

    /// Whether another operation would make it too hard to explain.
    pub fn is_full(&self) -> bool {
        self.len() > LONG || self.doubts() > DOUBTFUL
    }

    /// Looks for an order of moments, each within its operation, in which every answer is right.
    ///
    /// # Errors
    /// The history in words, when there is none.
    pub fn explain(&self) -> Result<(), String> {
        let told: Vec<usize> = (0..self.operations.len())
            .filter(|at| self.operations[*at].outcome != Outcome::Nothing)
            .collect();
        assert!(told.len() <= LONGEST, "{} operations", told.len());
        let place = |operation: usize| told.binary_search(&operation).ok();
        let mut certain = 0;
        for (place, operation) in told.iter().enumerate() {
            if self.operations[*operation].outcome != Outcome::Doubt {
                certain |= 1 << place;
            }
        }
        let mut tester = LinearizabilityTester::new(Register {
            image: Image::ABSENT,
            done: 0,
            certain,
            is_written: false,
            tried: Arc::default(),
        });
        for event in &self.events {
            match *event {
                Event::Begin(operation) => {
                    let Some(place) = place(operation) else {
                        continue;
                    };
                    let it = &self.operations[operation];
                    let step = Step {
                        place,
                        action: it.action,
                    };
                    tester.on_invoke(self.thread(operation), step)?;
                }
                Event::End(operation) => {
                    if let Outcome::Answered(answer) = self.operations[operation].outcome {
                        tester.on_return(self.thread(operation), Some(answer))?;
                    }
                }
            }
        }
        for operation in told {
            if self.operations[operation].outcome == Outcome::Doubt {
                tester.on_return(self.thread(operation), None)?;
            }
        }
        if tester.is_consistent() {
            return Ok(());
        }
        Err(self.to_string())
    }

    /// Two operations of one thread follow each other. Those of an upload overlap, and a doubtful one overlaps with all that
    /// its client did later; the search comes to them last.
    fn thread(&self, operation: usize) -> (bool, usize) {
        let it = &self.operations[operation];
        match it.outcome {
            Outcome::Doubt => (true, operation),
            _ => (
                false,
                2 * it.client + usize::from(matches!(it.action, Action::Finish(_))),
            ),
        }
    }
}

impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for event in &self.events {
            let (Event::Begin(n) | Event::End(n)) = *event;
            let Operation {
                client,
                action,
                outcome,
            } = &self.operations[n];
            match (event, outcome) {
                (_, Outcome::Nothing) => {}
                (Event::Begin(_), Outcome::Doubt) => {
                    writeln!(f, "{n:3} client {client} {action:?}, without an answer")?;
                }
                (Event::Begin(_), _) => writeln!(f, "{n:3} client {client} {action:?} …")?,
                (Event::End(_), Outcome::Answered(answer)) => {
                    writeln!(f, "{n:3} client {client} … {action:?}: {answer:?}")?;
                }
                (Event::End(_), Outcome::Doubt) => {}
            }
        }
        Ok(())
    }
}

/// The image as the search has it after some of the operations.
#[derive(Clone)]
struct Register {
    image: Image,
    /// Which ones, a bit for each.
    done: u128,
    /// Those with an answer.
    certain: u128,
    /// Whether a doubtful write came after the last of those. Another one would leave nothing of it.
    is_written: bool,
    tried: Arc<Mutex<HashMap<Node, Vec<u128>>>>,
}

/// The certain operations that are done, and what is left by them and some doubtful ones: these are what was tried with it.
/// More of them are no better, since each may as well come at the end.
type Node = (u128, Image, bool);

#[derive(Debug, Clone, Copy)]
struct Step {
    place: usize,
    action: Action,
}

impl SequentialSpec for Register {
    type Op = Step;
    /// `None` where it is not known.
    type Ret = Option<Answer>;

    fn invoke(&mut self, step: &Step) -> Option<Answer> {
        self.done |= 1 << step.place;
        Some(self.image.apply(step.action))
    }

    fn is_valid_step(&mut self, step: &Step, answer: &Option<Answer>) -> bool {
        if self.done & self.certain == self.certain {
            return true;
        }
        let before = self.image;
        let given = self.invoke(step);
        let fits = if answer.is_some() {
            self.is_written = false;
            given == *answer
        } else {
            let is_write = matches!(step.action, Action::Write(_));
            let is_vain = self.is_written && is_write;
            self.is_written |= is_write;
            self.image != before && !is_vain
        };
        fits && self.is_new()
    }
}

impl Register {
    /// Whether the search has not been here, with as many doubtful operations left to be used.
    fn is_new(&self) -> bool {
        let node = (self.done & self.certain, self.image, self.is_written);
        let doubtful = self.done & !self.certain;
        let mut tried = self.tried.lock().unwrap();
        let with = tried.entry(node).or_default();
        let is_new = with.iter().all(|fewer| fewer & !doubtful != 0);
        if is_new {
            with.push(doubtful);
        }
        is_new
    }
}
