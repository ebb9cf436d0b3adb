//! Names and roles, as certificates carry them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::net::NetError;

/// Longest name.
const LONGEST: usize = 63;
/// How the name in a certificate begins (EN-02).
const SCHEME: &str = "lepton://";

/// A federation's or a member's name: 1 to 63 of `a`-`z`, `0`-`9`, `-`, `.` and `_`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = (1..=LONGEST).contains(&text.len())
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || "-._".contains(c));
        if good {
            return Ok(Self(text.to_owned()));
        }
        Err(NetError::Use(format!(
            "{:?} is no name; use 1 to {LONGEST} of a-z, 0-9, '-', '.' and '_', beginning with a letter or a digit",
            text.chars().take(LONGEST + 1).collect::<String>()
        )))
    }
}

impl TryFrom<String> for Name {
    type Error = NetError;

    fn try_from(text: String) -> Result<Self, NetError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a member is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Holds data.
    Party,
    /// Relays messages and adds masked vectors.
    Coordinator,
    /// Submits jobs and reads results.
    Scientist,
    /// Keeps the federation running.
    Operator,
    /// Reads logs and reports.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Party,
        Self::Coordinator,
        Self::Scientist,
        Self::Operator,
        Self::Auditor,
    ];

    /// The role's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Party => "party",
            Self::Coordinator => "coordinator",
            Self::Scientist => "scientist",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

impl FromStr for Role {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| {
            NetError::Use(
                "a role is one of party, coordinator, scientist, operator, auditor".to_owned(),
            )
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member of a federation, in a role: `lepton://FEDERATION/ROLE/NAME` in its certificate (EN-02).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The federation.
    pub federation: Name,
    /// The role.
    pub role: Role,
    /// The member's own name.
    pub name: Name,
}

impl Member {
    /// The name in the certificate.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}/{}", self.federation, self.role, self.name)
    }

    /// Reads [`Member::uri`] back.
    ///
    /// # Errors
    /// [`NetError::Use`] for anything else.
    pub fn from_uri(uri: &str) -> Result<Self, NetError> {
        let parts = uri
            .strip_prefix(SCHEME)
            .map(|rest| rest.split('/').collect::<Vec<_>>());
        match parts.as_deref() {
            Some([federation, role, name]) => Ok(Self {
                federation: federation.parse()?,
                role: role.parse()?,
                name: name.parse()?,
            }),
            _ => Err(NetError::Use(format!(
                "no name of the form {SCHEME}FEDERATION/ROLE/NAME"
            ))),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "hospital-a", "9.x_y", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "a/b",
            "-a",
            ".a",
            "ä",
            "a b",
            "a\n",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn uris_come_back(federation in "[a-z0-9][a-z0-9._-]{0,20}", name in "[a-z0-9][a-z0-9._-]{0,20}", role in 0_usize..5) {
            let member = Member { federation: federation.parse().unwrap(), role: Role::ALL[role], name: name.parse().unwrap() };
            prop_assert_eq!(Member::from_uri(&member.uri()).unwrap(), member);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(lepton://)?.{0,80}") {
            if let Ok(member) = Member::from_uri(&text) {
                prop_assert_eq!(member.uri(), text);
            }
        }
    }
}
