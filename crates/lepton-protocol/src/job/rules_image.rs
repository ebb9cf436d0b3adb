//! Rules between the keys of images and of convolutions.

use super::entries::Entries;
use super::errors::Problems;
use super::rules::{Rule, at, refuse};
use super::words::{DataKind, Missing, ModelName};

pub(super) const RULES: [Rule; 3] = [shape, convolutions, image_options];

/// Keys that only a convolutional network has.
const CONVOLUTION: [&str; 7] = [
    "model.channels",
    "model.kernel",
    "model.stride",
    "model.padding",
    "model.pool",
    "model.pool_size",
    "model.normalisation",
];

fn is_image(entries: &Entries) -> bool {
    entries.word("data.kind") == Some(DataKind::Image)
}

fn shape(entries: &Entries, problems: &mut Problems) {
    let (key, kind) = ("data.shape", "data.kind");
    let remedy = "write shape = [height, width, channels], for example shape = [28, 28, 1]";
    if !is_image(entries) {
        if !entries.is_bad(kind) {
            let because = format!("data.kind = \"table\" ({})", at(entries, kind));
            let remedy = "remove it, or write kind = \"image\"";
            refuse(entries, problems, key, &because, remedy);
        }
        return;
    }
    match entries.list(key) {
        Some(list) if list.len() == 3 => {}
        Some(list) => {
            let what = format!("data.shape has {} numbers in place of three", list.len());
            problems.add(&entries.place_or_table(key), what, remedy);
        }
        None if entries.is_bad(key) => {}
        None => {
            let what = "data.kind = \"image\" has no shape";
            problems.add(
                &entries.place_or_table(kind),
                what,
                format!("{remedy} in [data]"),
            );
        }
    }
}

fn convolutions(entries: &Entries, problems: &mut Problems) {
    let kind = entries.word::<ModelName>("model.kind");
    let place = at(entries, "model.kind");
    match kind {
        Some(ModelName::Cnn) if !is_image(entries) && !entries.is_bad("data.kind") => {
            let what = "model.kind = \"cnn\" needs images, and data.kind is \"table\"";
            problems.add(
                &entries.place_or_table("model.kind"),
                what,
                "write kind = \"image\" and shape = [height, width, channels] in [data], or kind = \"mlp\" here",
            );
        }
        None | Some(ModelName::Cnn) => {}
        Some(kind) => {
            for key in CONVOLUTION {
                let because =
                    format!("model.kind = \"{kind}\" ({place}), which has no convolutions");
                let remedy = "remove it, or write kind = \"cnn\"";
                refuse(entries, problems, key, &because, remedy);
            }
        }
    }
}

/// An indicator is a column of its own, and no pixel.
fn image_options(entries: &Entries, problems: &mut Problems) {
    if is_image(entries) && entries.word("prepare.missing") == Some(Missing::Indicator) {
        let because = format!("data.kind = \"image\" ({})", at(entries, "data.kind"));
        let remedy = "write missing = \"mean\" or missing = \"drop\"";
        refuse(entries, problems, "prepare.missing", &because, remedy);
    }
}
