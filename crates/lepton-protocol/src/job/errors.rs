//! What can be wrong with a job file: all of it at once, each problem with its place and its remedy.

use std::fmt;

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of the job file, counted from 1.
    Line(usize),
    /// An override on the command line, with its key.
    Set(String),
}

impl Place {
    /// The place as a reader of a message finds it: `job.toml:12` or `--set privacy.epsilon`.
    #[must_use]
    pub fn show(&self, source_name: &str) -> String {
        match self {
            Self::Line(line) => format!("{source_name}:{line}"),
            Self::Set(key) => format!("--set {key}"),
        }
    }

    /// How one message refers to a second place.
    pub(super) fn mention(&self) -> String {
        match self {
            Self::Line(line) => format!("line {line}"),
            Self::Set(key) => format!("--set {key}"),
        }
    }

    fn order(&self) -> (bool, usize) {
        match self {
            Self::Line(line) => (false, *line),
            Self::Set(_) => (true, 0),
        }
    }
}

/// One thing wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a line of the file or an override.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything found wrong with a job; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobErrors {
    source_name: String,
    problems: Vec<Problem>,
}

impl JobErrors {
    /// The problems, in the order of the file, those of overrides last.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for JobErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            let place = problem.place.show(&self.source_name);
            write!(f, "{newline}{place}: {}; {}", problem.what, problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for JobErrors {}

/// Collects problems while a job is read.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.0.push(Problem {
            place: place.clone(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// `Err` with all problems, if there are any.
    pub(super) fn finish(self, source_name: &str) -> Result<(), JobErrors> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_errors(source_name))
        }
    }

    /// All problems in order.
    pub(super) fn into_errors(mut self, source_name: &str) -> JobErrors {
        self.0.sort_by_key(|problem| problem.place.order());
        JobErrors {
            source_name: source_name.to_owned(),
            problems: self.0,
        }
    }
}

// Edit distance finds swapped and missing letters, Jaro-Winkler long words with a common beginning: each from 0 to 1.
fn scored_nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(f64, &'a str)> {
    let word = word.to_lowercase();
    let score = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        strsim::normalized_damerau_levenshtein(&word, &candidate)
            + strsim::jaro_winkler(&word, &candidate)
    };
    let scored = candidates
        .into_iter()
        .map(|candidate| (score(candidate), candidate));
    scored.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// The candidate most like `word`; `None` only without candidates.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    scored_nearest(word, candidates).map(|(_, candidate)| candidate)
}

/// The candidate most like `word`, if they are alike enough for a slip of the pen.
pub(super) fn likely<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    scored_nearest(word, candidates)
        .filter(|(score, _)| *score > 1.0)
        .map(|(_, candidate)| candidate)
}

/// `"a", "b" or "c"`.
pub(super) fn quoted_list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("\"{one}\""),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{} or \"{last}\"", most.join(", "))
        }
    }
}
