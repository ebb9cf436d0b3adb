//! The repository itself is tidy.

#[test]
fn the_repository_is_tidy() {
    let report = xtask::tidy::check(&xtask::repository_root()).expect("the repository can be read");
    println!("{}", report.sizes);
    assert!(report.findings.is_empty(), "\n{report}");
}
