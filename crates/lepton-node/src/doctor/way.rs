//! The way to the coordinator, and its clock.

use super::{Check, Status, member};
use crate::config::DialSection;
use crate::net::DialConfig;
use crate::net::probe::{Clocks, Obstacle, Sight, Stage, look};

/// Certificates begin to hold so long before they are made: a clock that is further behind refuses new ones. Milliseconds.
const WRONG: u64 = 300_000;
/// From here on dates in reports and the policy's hours are visibly off. Milliseconds.
const OFF: u64 = 30_000;

/// Goes as far as the greeting, and says how far that was; what lies behind the first obstacle is not looked at.
pub(super) async fn checks(config: &DialConfig, section: &DialSection, now: u64) -> Vec<Check> {
    let sight = look(config).await;
    let mut checks = seen(&sight, section, now);
    if let Some(obstacle) = &sight.obstacle {
        checks.push(hindered(obstacle, section));
    }
    checks
}

fn seen(sight: &Sight, section: &DialSection, now: u64) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut ok = |name, found: String| checks.push(Check::ok(name, found));
    if !sight.addresses.is_empty() {
        let mut addresses: Vec<String> = sight
            .addresses
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        addresses.dedup();
        ok(NAME, addresses.join(", "));
    }
    if sight.connected {
        match &section.proxy {
            Some(proxy) => ok(PROXY, format!("{} opens a tunnel", proxy.address)),
            None => ok(PORT, format!("{} answers", section.address)),
        }
    }
    if let Some(exchange) = &sight.exchange {
        ok(ENCRYPTION, exchange.clone());
    }
    if sight.admitted {
        ok(
            ADMISSION,
            "the coordinator takes this certificate".to_owned(),
        );
    }
    if let Some(version) = sight.version {
        ok(VERSION, format!("version {version} of the link protocol"));
    }
    if let Some(leaf) = &sight.coordinator {
        let mut check = member::lasting(CERTIFICATE, leaf, now);
        check.found = format!("{}, {}", leaf.member, check.found);
        checks.push(check);
    }
    if sight.admitted {
        checks.push(clock(sight.clocks));
    }
    checks
}

const NAME: &str = "coordinator's name";
const PROXY: &str = "proxy";
const PORT: &str = "coordinator's port";
const ENCRYPTION: &str = "encryption";
const CERTIFICATE: &str = "coordinator's certificate";
const ADMISSION: &str = "admission";
const VERSION: &str = "protocol version";
const CLOCK: &str = "clock";

fn hindered(obstacle: &Obstacle, section: &DialSection) -> Check {
    let address = &section.address;
    let (name, remedy) = match obstacle.stage {
        Stage::Name => (
            NAME,
            format!("check coordinator.address ({address}) and this machine's DNS; where only a proxy leads out, name it in coordinator.proxy"),
        ),
        Stage::Proxy => (
            PROXY,
            format!("check coordinator.proxy, its user and password, and that it opens tunnels to {address}"),
        ),
        Stage::Port => (
            PORT,
            format!("check that the coordinator runs, that coordinator.address names its port, and that no firewall stops TCP to {address}"),
        ),
        Stage::Encryption => (
            ENCRYPTION,
            "check that the port is a Lepton coordinator's, and that nothing on the way opens the encryption: only TLS 1.3 with X25519MLKEM768 is taken (TR-02)".to_owned(),
        ),
        Stage::Certificate => (
            CERTIFICATE,
            "ask the coordinator's operator: it is renewed with `lepton ca renew`; check both clocks, and that this is the federation's coordinator".to_owned(),
        ),
        Stage::Admission => (
            ADMISSION,
            "look at `certificate` above; ask the authority whether this member was revoked (`lepton ca list`), and the coordinator's operator what its log says".to_owned(),
        ),
        Stage::Greeting => (
            VERSION,
            "bring the older of the two programs up to date".to_owned(),
        ),
    };
    Check::failed(name, obstacle.problem.clone(), remedy)
}

/// How far this machine's clock is from the coordinator's: at least so much, given how long the answer took.
fn clock(clocks: Option<Clocks>) -> Check {
    let Some(clocks) = clocks else {
        return Check::warning(
            CLOCK,
            "the coordinator does not say its time",
            "compare both machines' clocks by hand",
        );
    };
    let (ahead, behind) = skew(&clocks);
    let found = match (ahead, behind) {
        (0, 0) => "as the coordinator's, as far as can be told".to_owned(),
        (ahead, 0) => format!("{} s ahead of the coordinator's", ahead.div_ceil(1000)),
        (_, behind) => format!("{} s behind the coordinator's", behind.div_ceil(1000)),
    };
    let status = match ahead.max(behind) {
        apart if apart > WRONG => Status::Failed,
        apart if apart > OFF => Status::Warning,
        _ => Status::Ok,
    };
    let remedy = "set this machine's clock, or ask the coordinator's operator to: certificates, opening hours and dates rest on both";
    Check {
        name: CLOCK.into(),
        status,
        found,
        remedy: (status != Status::Ok).then(|| remedy.to_owned()),
    }
}

/// Least difference that explains what was seen, in milliseconds: ours ahead, ours behind. At most one is above 0.
fn skew(clocks: &Clocks) -> (u64, u64) {
    // Its second had begun and not ended at some moment between our two looks.
    let (begun, ended) = (
        clocks.theirs.saturating_mul(1000),
        clocks.theirs.saturating_mul(1000).saturating_add(999),
    );
    (
        clocks.before.saturating_sub(ended),
        begun.saturating_sub(clocks.after),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Check {
        let theirs = 1_790_000_000_u64;
        let before = (theirs * 1000 + 500).saturating_add_signed(offset);
        clock(Some(Clocks {
            before,
            theirs,
            after: before + 40,
        }))
    }

    #[test]
    fn clocks_that_agree_within_a_second_are_the_same() {
        for offset in [-500, -1, 0, 499] {
            let check = at(offset);
            assert_eq!(check.found, "as the coordinator's, as far as can be told");
            assert_eq!(check.status, Status::Ok);
        }
    }

    #[test]
    fn a_skewed_clock_is_told_with_its_direction() {
        for (offset, status, words) in [
            (20_000, Status::Ok, "20 s ahead"),
            (40_000, Status::Warning, "40 s ahead"),
            (-40_000, Status::Warning, "40 s behind"),
            (400_000, Status::Failed, "400 s ahead"),
            (-400_000, Status::Failed, "400 s behind"),
        ] {
            let check = at(offset);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.found.starts_with(words), "{check:?}");
            assert_eq!(check.remedy.is_some(), status != Status::Ok);
        }
    }

    /// A slow answer is no skew: nothing is claimed that the delay could explain.
    #[test]
    fn a_slow_answer_proves_no_skew() {
        let clocks = Clocks {
            before: 1_000_000,
            theirs: 1_050,
            after: 1_100_000,
        };
        assert_eq!(skew(&clocks), (0, 0));
        let later = Clocks {
            theirs: 1_200,
            ..clocks
        };
        assert_eq!(skew(&later), (0, 100_000));
    }
}
