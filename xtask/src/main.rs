//! `cargo xtask VERB`: one entrance for every habit of the repository.

use std::path::PathBuf;
use std::process::ExitCode;

use xtask::{VERBS, repository_root, show, site, tidy};

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    match verb.as_str() {
        "tidy" => run_tidy(),
        "site" => run_site(std::env::args().skip(2).collect()),
        "show" => run_show(&std::env::args().nth(2).unwrap_or_default()),
        _ => {
            println!("usage: cargo xtask VERB\n");
            for (name, what) in VERBS {
                println!("  {name:<8} {what}");
            }
            ExitCode::from(if matches!(verb.as_str(), "help" | "--help" | "") {
                0
            } else {
                2
            })
        }
    }
}

fn run_show(what: &str) -> ExitCode {
    match show::write(&repository_root(), what) {
        Ok(path) => {
            println!("{} is written", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_site(arguments: Vec<String>) -> ExitCode {
    let root = repository_root();
    let out = match <[String; 2]>::try_from(arguments) {
        Ok([flag, folder]) if flag == "--out" => PathBuf::from(folder),
        Err(none) if none.is_empty() => site::usual_place(&root),
        _ => {
            println!("usage: cargo xtask site [--out DIR]");
            return ExitCode::from(2);
        }
    };
    let checked = site::build(&root, &out).and_then(|()| site::check(&root, &out));
    match checked {
        Ok(checked) => {
            print!("{checked}");
            println!("the site is in {}", out.display());
            ExitCode::from(u8::from(!checked.findings.is_empty()))
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_tidy() -> ExitCode {
    match tidy::check(&repository_root()) {
        Ok(report) => {
            print!("{report}");
            ExitCode::from(u8::from(!report.findings.is_empty()))
        }
        Err(error) => {
            println!("tidy could not look: {error:#}");
            ExitCode::FAILURE
        }
    }
}
