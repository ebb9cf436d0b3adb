//! libFuzzer on one decoder of the list, which `LEPTON_FUZZ_DECODER` names (`scripts/fuzz.sh`).
//!
//! Before anything runs, the decoder's valid inputs are written to the folder that `LEPTON_FUZZ_SEEDS` names. One program for all decoders: it is
//! linked once.
#![no_main]
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it reads its environment and writes seeds"
)]

use std::path::Path;

use lepton_node::decoders::{Decoder, all, named};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static DECODER: Decoder = chosen();
}

fuzz_target!(
    init: {
        // What a library panics at is contained where it is called; only what is not ends the program here.
        std::panic::set_hook(Box::new(|what| eprintln!("{what}")));
        DECODER.with(write_seeds)
    },
    |input: &[u8]| {
        DECODER.with(|decoder| decoder.takes(input));
    }
);

/// The decoder that was asked for; without a name, or with another, the names of all.
fn chosen() -> Decoder {
    let name = std::env::var("LEPTON_FUZZ_DECODER").unwrap_or_default();
    named(&name).unwrap_or_else(|| {
        all()
            .iter()
            .for_each(|decoder| println!("{}", decoder.name));
        std::process::exit(i32::from(!name.is_empty()));
    })
}

fn write_seeds(decoder: &Decoder) {
    let Ok(folder) = std::env::var("LEPTON_FUZZ_SEEDS") else {
        return;
    };
    for (number, input) in decoder.valid.iter().enumerate() {
        let path = Path::new(&folder).join(format!("valid-{number}"));
        std::fs::write(&path, input).expect("the folder of seeds takes files");
        assert!(decoder.takes(input), "{} refuses {path:?}", decoder.name);
    }
}
