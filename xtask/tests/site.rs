//! The documentation's site is whole: every page is there, and every link and anchor leads somewhere.

#[test]
fn the_site_is_whole() {
    let root = xtask::repository_root();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("site");
    xtask::site::build(&root, &out).expect("mdBook makes the site");
    let checked = xtask::site::check(&root, &out).expect("the site can be read");
    assert!(checked.findings.is_empty(), "\n{checked}");
    assert!(checked.pages >= 40, "{} pages", checked.pages);
    assert!(
        checked.links >= 20 * checked.pages,
        "{} links",
        checked.links
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the folder is the test's own")]
fn a_folder_with_other_files_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = folder.path().join("thesis.txt");
    std::fs::write(&kept, "years of work").expect("written");
    let error = xtask::site::build(&xtask::repository_root(), folder.path())
        .expect_err("it would be removed");
    assert!(error.to_string().contains("holds other files"), "{error}");
    assert!(kept.is_file());
}
