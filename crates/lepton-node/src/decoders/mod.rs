//! Every decoder of bytes that come from outside, in one list: property tests feed it, and so does the fuzzer.
//!
//! Compiled for tests and for the feature `fuzzing` only. Whoever writes a decoder of foreign bytes adds it here, with valid inputs made by
//! the program itself.

mod documents;
mod jobs;
mod masked_sum;
mod records;
mod sample;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

/// Whether a decoder takes an input.
type Takes = Box<dyn Fn(&[u8]) -> bool>;

/// Most bytes of memory for each byte of input.
pub(crate) const FACTOR: u64 = 40;
/// And for any input: what messages and tables cost that say what is wrong.
pub(crate) const FLOOR: u64 = 32 * 1024;

/// One decoder, and what it takes.
pub struct Decoder {
    /// Its name, in words of small letters with hyphens.
    pub name: &'static str,
    /// Inputs that it takes, made by the program.
    pub valid: Vec<Vec<u8>>,
    /// Whether it reads text.
    pub text: bool,
    /// Most bytes of memory it may take for each byte of input, and for any input.
    pub memory: (u64, u64),
    decode: Takes,
}

impl Decoder {
    pub(crate) fn of_bytes(
        name: &'static str,
        valid: Vec<Vec<u8>>,
        decode: impl Fn(&[u8]) -> bool + 'static,
    ) -> Self {
        Self {
            name,
            valid,
            text: false,
            memory: (FACTOR, FLOOR),
            decode: Box::new(decode),
        }
    }

    pub(crate) fn of_text<T: AsRef<str>>(
        name: &'static str,
        valid: &[T],
        decode: impl Fn(&str) -> bool + 'static,
    ) -> Self {
        let valid = valid.iter().map(|text| text.as_ref().as_bytes().to_vec());
        let decode = move |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(&decode);
        Self {
            text: true,
            ..Self::of_bytes(name, valid.collect(), decode)
        }
    }

    /// With other bounds on memory: bytes for each byte of input, and for any input.
    pub(crate) fn taking(self, factor: u64, floor: u64) -> Self {
        Self {
            memory: (factor, floor),
            ..self
        }
    }

    /// Decodes; whether the input is taken.
    #[must_use]
    pub fn takes(&self, input: &[u8]) -> bool {
        (self.decode)(input)
    }
}

/// One group of the list.
type Group = fn() -> Vec<Decoder>;

const GROUPS: [Group; 6] = [
    crate::net::decoders::decoders,
    documents::decoders,
    jobs::decoders,
    masked_sum::decoders,
    records::decoders,
    tables::decoders,
];

/// The whole list.
#[must_use]
pub fn all() -> Vec<Decoder> {
    GROUPS.into_iter().flat_map(|group| group()).collect()
}

/// The decoder of that name.
#[must_use]
pub fn named(name: &str) -> Option<Decoder> {
    all().into_iter().find(|decoder| decoder.name == name)
}
