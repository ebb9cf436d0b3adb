//! The closed vocabularies of a policy.

use crate::job::Word;
use crate::job::words::words;

words! {
    /// What a member of a federation is there for, as its certificate says.
    Role {
        /// Holds tables and decides what leaves.
        Party = "party",
        /// Writes and submits jobs, reads results.
        Scientist = "scientist",
        /// Keeps the programs running.
        Operator = "operator",
        /// Reads audit logs and reports.
        Auditor = "auditor",
    }
    /// When a person has to approve a job.
    Approval {
        /// Every job.
        Always = "always",
        /// Jobs without a privacy goal.
        WithoutGoal = "without_goal",
        /// No job.
        Never = "never",
    }
    /// Day of the week, UTC.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}
