//! Whose fault it is.

use lepton_ring::RingError;
use thiserror::Error;

use crate::PartyIndex;

/// A refusal that names the culprit. A fault of a peer names the party to which the message was attributed: it is evidence as far as the frame
/// that carried the message was authenticated.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Fault {
    /// A party sent what it must not send.
    #[error("party {0}: {1}")]
    Peer(PartyIndex, #[source] PeerReason),
    /// Two parties contradict each other; one of them lies (SA-15).
    #[error(
        "parties {0} and {1} commit to different pair seeds: one of them does not follow the protocol; repeat the round without one or both"
    )]
    Pair(PartyIndex, PartyIndex),
    /// The coordinator sent what it must not send.
    #[error("coordinator: {0}")]
    Coordinator(#[source] CoordinatorReason),
    /// The program around the machine used it wrongly.
    #[error("wrong use: {0}")]
    Caller(#[source] CallerReason),
    /// Too few parties answered for the step to complete (SA-19).
    #[error("{have} parties answered at {step} where {need} are needed: the attempt ends")]
    TooFew {
        /// Answers there are.
        have: usize,
        /// Answers needed.
        need: usize,
        /// Where.
        step: Step,
    },
}

/// A step of the protocol at which answers are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The set-up: all parties are needed.
    Setup,
    /// (a): the survivor floor is needed.
    Input,
    /// (b): the quorum is needed.
    Signature,
    /// (c): the threshold is needed.
    Opening,
}

/// What a party did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum PeerReason {
    /// Not a message of this kind, or longer than it may be.
    #[error("the message is malformed or too long")]
    Malformed,
    /// A field of the wrong length (SA-10).
    #[error("field `{0}` has the wrong length")]
    Length(&'static str),
    /// A message of another job, epoch, round, attempt, roster or shape (SA-02).
    #[error("the message belongs to another job, epoch, round, attempt or vector shape")]
    Foreign,
    /// A second message where one is allowed.
    #[error("sent a second message for this step")]
    Duplicate,
    /// Not a member of the roster, or not a survivor.
    #[error("is not among the parties expected at this step")]
    Unexpected,
    /// A key advert or survivor signature that does not verify.
    #[error("the signature does not verify under the enrolled identity")]
    Signature,
    /// A key of small order, or one that another party uses too (SA-03).
    #[error("the advertised key is of small order or used twice")]
    Key,
    /// A revealed part of the graph's seed that is not the one committed to (SA-22).
    #[error("the revealed part of the graph's seed does not open its commitment")]
    Reveal,
    /// A vector with non-zero padding (SA-10).
    #[error("the masked vector is refused: {0}")]
    Vector(RingError),
    /// The reserved proof field is not empty (SA-10).
    #[error("the reserved proof field is not empty")]
    Proof,
    /// As dealer: the shares in the sealed bundle are not those committed to (SA-13).
    #[error("dealt shares that do not match its commitments")]
    Dealt,
    /// As dealer: committed shares that do not combine to the committed secret (SA-18).
    #[error("dealt shares that do not combine to the secret it committed to")]
    Sharing,
    /// As opener: a share that is not the one its dealer committed to (SA-18).
    #[error("opened a share that party {dealer} did not deal")]
    Opened {
        /// Whose share it should have been.
        dealer: PartyIndex,
    },
}

/// What the coordinator did wrong, as a party sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CoordinatorReason {
    /// Not a message of this kind, or longer than it may be.
    #[error("the message is malformed or too long")]
    Malformed,
    /// A message of another job, epoch, round, attempt, roster or shape (SA-02).
    #[error("the message belongs to another job, epoch, round, attempt or vector shape")]
    Foreign,
    /// The party's own key came back altered (SA-04).
    #[error("relayed another key than this party's own")]
    OwnKey,
    /// Survivors that are not members of the roster (SA-12).
    #[error("the survivors are not members of the roster")]
    Survivors,
    /// Fewer survivors than the floor (SA-12).
    #[error("{have} survivors where this party demands at least {need}")]
    BelowFloor {
        /// Survivors shown.
        have: usize,
        /// The floor.
        need: usize,
    },
    /// A group with fewer survivors than its sum needs (SA-26).
    #[error("{have} survivors of group {group} where this party demands at least {need}")]
    GroupBelowFloor {
        /// The group.
        group: u16,
        /// Its survivors.
        have: usize,
        /// The floor of a group.
        need: usize,
    },
    /// The party itself is missing among the survivors (SA-12).
    #[error("this party's own message is missing in the view")]
    OwnInput,
    /// A survivor whose self mask could not be opened (SA-24).
    #[error(
        "{have} survivors in the closed neighbourhood of party {party}, fewer than the threshold"
    )]
    Stranded {
        /// The survivor.
        party: PartyIndex,
        /// Survivors in its closed neighbourhood, itself among them.
        have: usize,
    },
    /// A sealed bundle that does not open (SA-13).
    #[error(
        "the bundle of party {dealer} does not open: the coordinator altered it or its dealer sealed it wrongly"
    )]
    Bundle {
        /// Whose bundle it should be.
        dealer: PartyIndex,
    },
    /// Fewer signatures than the quorum (SA-16).
    #[error("{have} signatures where the quorum is {need}")]
    BelowQuorum {
        /// Signatures shown.
        have: usize,
        /// The quorum.
        need: usize,
    },
    /// A signature that does not verify over this party's survivor hash (SA-16).
    #[error("the signature of party {signer} does not cover the survivor set shown to this party")]
    Signature {
        /// Whose signature it should be.
        signer: PartyIndex,
    },
    /// A signer that repeats, is not in the committee or not a survivor (SA-16).
    #[error(
        "party {signer} cannot sign here: it repeats, is not in the committee or not a survivor"
    )]
    Signer {
        /// The refused signer.
        signer: PartyIndex,
    },
}

/// What the program around the machine did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallerReason {
    /// A roster of another size than the parameters say.
    #[error("the roster has {have} parties where the parameters say {need}")]
    RosterSize {
        /// Roster length.
        have: usize,
        /// `n`.
        need: usize,
    },
    /// More sparse graphs than their failure probability allows (SA-21).
    #[error("a job may open {0} epochs on a sparse graph: start a new job")]
    Epochs(u64),
    /// A party with too few neighbours to hold its shares (SA-01).
    #[error("the random graph left party {0} with too few neighbours: open a new epoch")]
    Degree(PartyIndex),
    /// An identity twice in the roster.
    #[error("one identity is twice in the roster")]
    RepeatedIdentity,
    /// The identity key is not the roster's at the party's position.
    #[error("this identity is not the one at the party's position in the roster")]
    Identity,
    /// A party that is not in the roster, or the party itself where a peer is needed.
    #[error("party {0} is not a peer in this roster")]
    Peer(PartyIndex),
    /// The input has another modulus or length than the specification.
    #[error("the input does not have the agreed modulus and length")]
    Input,
    /// Groups that were made for other parameters (SA-25).
    #[error("the groups were made for other parameters than the epoch's")]
    Grouping,
    /// The vector is too long for this machine.
    #[error("the vector is too long")]
    TooLong,
    /// The attempt was used or passed by already (SA-06).
    #[error(
        "round {round} attempt {attempt} was used or passed by already: no two vectors under one attempt's seeds"
    )]
    Spent {
        /// The refused round.
        round: u64,
        /// The refused attempt.
        attempt: u32,
    },
    /// The attempt lies too far ahead (SA-06).
    #[error("round {round} attempt {attempt} lies too far ahead: open a new epoch")]
    Skipped {
        /// The refused round.
        round: u64,
        /// The refused attempt.
        attempt: u32,
    },
}

impl core::fmt::Display for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Setup => "the set-up",
            Self::Input => "(a) masked input",
            Self::Signature => "(b) signature",
            Self::Opening => "(c) opening",
        })
    }
}

impl From<CoordinatorReason> for Fault {
    fn from(reason: CoordinatorReason) -> Self {
        Self::Coordinator(reason)
    }
}

impl From<CallerReason> for Fault {
    fn from(reason: CallerReason) -> Self {
        Self::Caller(reason)
    }
}
