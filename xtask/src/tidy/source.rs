//! Rust text split into code and comments, without a full parser.

/// A Rust file as two texts of the same shape: same lines, same columns (in characters).
pub(crate) struct Split {
    /// Code; comments and the insides of strings and character literals are blank.
    pub(crate) code: String,
    /// Comments; everything else is blank.
    pub(crate) comments: String,
}

/// Separates code from comments.
pub(crate) fn split(text: &str) -> Split {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        code: String::new(),
        comments: String::new(),
    };
    while scanner.at < scanner.chars.len() {
        scanner.next_piece();
    }
    Split {
        code: scanner.code,
        comments: scanner.comments,
    }
}

/// Code up to the file's test module: what ships.
pub(crate) fn shipped(code: &str) -> &str {
    let mut from = 0;
    while let Some(found) = code.get(from..).and_then(|rest| rest.find("#[cfg(test)]")) {
        let at = from + found;
        from = at + "#[cfg(test)]".len();
        let next = code.get(from..).unwrap_or_default().trim_start();
        if next.starts_with("mod ") || next.starts_with('#') {
            return code.get(..at).unwrap_or(code);
        }
    }
    code
}

/// Line of a byte offset, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// A word of a text with its byte offset. Words are runs of letters, digits and `_`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !inside(c))
        .filter(|word| !word.is_empty())
        .map(|word| {
            let offset = word.as_ptr() as usize - text.as_ptr() as usize;
            (offset, word)
        })
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Takes `count` characters: as code, as comment, or (neither) blanked.
    fn take(&mut self, count: usize, code: bool, comment: bool) {
        for _ in 0..count {
            let Some(&c) = self.chars.get(self.at) else {
                return;
            };
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if code { c } else { blank });
            self.comments.push(if comment { c } else { blank });
            self.at += 1;
        }
    }

    fn next_piece(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while !matches!(self.peek(0), '\n' | '\0') {
                    self.take(1, false, true);
                }
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('r', '"' | '#') if !self.after_word() => self.raw_string(),
            ('\'', _) => self.quote(),
            _ => self.take(1, true, false),
        }
    }

    /// Whether the character before is part of a word that is no `b` or `c` prefix.
    fn after_word(&self) -> bool {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.chars.get(at))
                .copied()
        };
        let wordy = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        wordy(before(1)) && (!matches!(before(1), Some('b' | 'c')) || wordy(before(2)))
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.take(2, false, true);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.take(2, false, true);
                    if depth == 0 {
                        return;
                    }
                }
                ('\0', _) => return,
                _ => self.take(1, false, true),
            }
        }
    }

    fn string(&mut self) {
        self.take(1, true, false);
        loop {
            match self.peek(0) {
                '"' => return self.take(1, true, false),
                '\\' => self.take(2, false, false),
                '\0' => return,
                _ => self.take(1, false, false),
            }
        }
    }

    fn raw_string(&mut self) {
        let hashes = (1..).take_while(|&ahead| self.peek(ahead) == '#').count();
        if self.peek(1 + hashes) != '"' {
            return self.take(1, true, false); // a raw identifier such as r#type
        }
        self.take(2 + hashes, true, false);
        while self.peek(0) != '\0' {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            if closes {
                return self.take(1 + hashes, true, false);
            }
            self.take(1, false, false);
        }
    }

    /// A character literal, or else a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == '\\' {
            self.take(3, false, false);
            while !matches!(self.peek(0), '\'' | '\0' | '\n') {
                self.take(1, false, false);
            }
            self.take(1, false, false);
        } else if self.peek(2) == '\'' {
            self.take(3, false, false);
        } else {
            self.take(1, true, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_characters_and_comments_leave_the_code() {
        let text = "let a = \"{ // }\\\"\"; // brace }\nlet b = '{'; /* { /* } */ */ let c: &'a str = br#\"}\"}\"#;";
        let parts = split(text);
        assert!(!parts.code.contains(['{', '}']), "{}", parts.code);
        assert!(parts.comments.contains("brace }") && !parts.comments.contains("let"));
        assert!(parts.code.contains("&'a str"));
        assert_eq!(parts.code.chars().count(), text.chars().count());
    }

    #[test]
    fn raw_identifiers_and_escaped_quotes_are_no_strings() {
        let parts = split("let r#type = '\\''; let for_r = '\\u{7d}'; fn f() {}");
        assert!(
            parts.code.contains("r#type") && parts.code.contains("fn f() {}"),
            "{}",
            parts.code
        );
    }

    #[test]
    fn shipped_code_ends_at_the_test_module() {
        assert_eq!(
            shipped("fn a() {}\n#[cfg(test)]\nmod tests {}"),
            "fn a() {}\n"
        );
        assert_eq!(
            shipped("#[cfg(test)]\nuse x;\nfn a() {}"),
            "#[cfg(test)]\nuse x;\nfn a() {}"
        );
    }
}
