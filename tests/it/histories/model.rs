//! What an image is to its clients: a register whose writes compare and set, and what each operation on it answers.
//!
//! An upload is two operations, since readers see what is between them: the image is taken (`Begin`) and gets its data
//! (`Finish`), or is queued again (`GiveUp`).

/// Where an image stands. A number says which upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Absent,
    Queued,
    Saving(u32),
    Active(u32),
    Deactivated(u32),
    Deleted,
}

/// All that clients can find out about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Image {
    pub phase: Phase,
    /// A property that any patch may set.
    pub value: u32,
    /// A property that is there once at most: set only where it is not.
    pub claim: Option<u32>,
    /// Whether the other project is a member.
    pub is_shared: bool,
}

/// What a client does. Numbers are never used twice, so what is read tells who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Begin(u32),
    Finish(u32),
    GiveUp(u32),
    Write(u32),
    Claim(u32),
    Release,
    Share,
    Unshare,
    Deactivate,
    Reactivate,
    Delete,
    Read,
    /// By the other project.
    ReadShared,
    Download,
    ListMembers,
}

/// What it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    Conflict,
    Forbidden,
    Missing,
    Seen(Record),
    /// The data of this upload, or none.
    Data(Option<u32>),
    Shared(bool),
}

/// A record as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub status: Status,
    pub data: Option<u32>,
    pub value: u32,
    pub claim: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Queued,
    Saving,
    Active,
    Deactivated,
}

impl Action {
    /// Leaves the image as it is.
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Action::Read | Action::ReadShared | Action::Download | Action::ListMembers
        )
    }
}

impl Image {
    /// Before anybody has made it.
    pub const ABSENT: Image = Image {
        phase: Phase::Absent,
        value: 0,
        claim: None,
        is_shared: false,
    };

    /// Does it, at one moment.
    pub fn apply(&mut self, action: Action) -> Answer {
        match (action, self.phase) {
            (Action::Create, Phase::Absent) => self.enter(Phase::Queued),
            (Action::Create, _) => Answer::Conflict,
            (_, Phase::Absent | Phase::Deleted) => Answer::Missing,
            (Action::Begin(n), Phase::Queued) => self.enter(Phase::Saving(n)),
            (Action::Finish(n), Phase::Saving(by)) if by == n => self.enter(Phase::Active(n)),
            (Action::GiveUp(n), Phase::Saving(by)) if by == n => self.enter(Phase::Queued),
            (Action::Begin(_) | Action::Finish(_) | Action::GiveUp(_), _) => Answer::Conflict,
            (Action::Deactivate, Phase::Active(n) | Phase::Deactivated(n)) => {
                self.enter(Phase::Deactivated(n))
            }
            (Action::Reactivate, Phase::Active(n) | Phase::Deactivated(n)) => {
                self.enter(Phase::Active(n))
            }
            (Action::Deactivate | Action::Reactivate, _) => Answer::Forbidden,
            (Action::Delete, _) => self.enter(Phase::Deleted),
            (Action::Write(value), _) => {
                self.value = value;
                Answer::Seen(self.record())
            }
            (Action::Claim(_), _) if self.claim.is_some() => Answer::Conflict,
            (Action::Claim(claim), _) => {
                self.claim = Some(claim);
                Answer::Seen(self.record())
            }
            (Action::Release, _) if self.claim.is_none() => Answer::Conflict,
            (Action::Release, _) => {
                self.claim = None;
                Answer::Seen(self.record())
            }
            (Action::Share, _) if self.is_shared => Answer::Conflict,
            (Action::Share, _) => {
                self.is_shared = true;
                Answer::Done
            }
            (Action::Unshare | Action::ReadShared, _) if !self.is_shared => Answer::Missing,
            (Action::Unshare, _) => {
                self.is_shared = false;
                Answer::Done
            }
            (Action::Read | Action::ReadShared, _) => Answer::Seen(self.record()),
            (Action::Download, Phase::Deactivated(_)) => Answer::Forbidden,
            (Action::Download, Phase::Active(n)) => Answer::Data(Some(n)),
            (Action::Download, _) => Answer::Data(None),
            (Action::ListMembers, _) => Answer::Shared(self.is_shared),
        }
    }

    fn enter(&mut self, phase: Phase) -> Answer {
        self.phase = phase;
        Answer::Done
    }

    fn record(&self) -> Record {
        let (status, data) = match self.phase {
            Phase::Saving(_) => (Status::Saving, None),
            Phase::Active(n) => (Status::Active, Some(n)),
            Phase::Deactivated(n) => (Status::Deactivated, Some(n)),
            Phase::Queued | Phase::Absent | Phase::Deleted => (Status::Queued, None),
        };
        Record {
            status,
            data,
            value: self.value,
            claim: self.claim,
        }
    }
}
