//! Real logs (`fixtures/`, written by the runners themselves, paths scrubbed) and hostile ones.

use std::fmt::Write as _;

use super::*;

/// Executed, failed and names of a fixture.
macro_rules! fixture {
    ($name:literal) => {
        parse(include_str!(concat!("fixtures/", $name, ".txt")))
    };
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what parse returns")]
fn report(executed: u64, failing: &[&str]) -> Option<TestReport> {
    let mut failing: Vec<String> = failing.iter().map(|&name| name.to_owned()).collect();
    failing.sort();
    Some(TestReport { executed, failed: failing.len() as u64, failing, named: true })
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what parse returns")]
fn unnamed(executed: u64, failed: u64) -> Option<(u64, u64, bool)> {
    Some((executed, failed, false))
}

fn counts(report: Option<TestReport>) -> Option<(u64, u64, bool)> {
    report.map(|report| (report.executed, report.failed, report.named))
}

#[test]
fn cargo_sums_binaries_and_doc_tests() {
    let red =
        report(7, &["tests::bad", "tests::does_not", "it_fails", "src/lib.rs - add (line 2)"]);
    assert_eq!(fixture!("cargo_test"), red);
    assert_eq!(fixture!("cargo_q"), red);
    assert_eq!(fixture!("cargo_none"), report(0, &[]));
}

#[test]
fn nextest_reads_its_summary() {
    // By its documentation; nextest is not installed where the other fixtures were made.
    let log = "    Starting 3 tests across 2 binaries\n\
        \x20       PASS [   0.005s] (1/3) foo tests::good\n\
        \x20       FAIL [   0.006s] (2/3) foo::it it_fails\n\
        ------------\n     Summary [   0.015s] 3 tests run: 1 passed (1 slow), 1 failed, 1 timed out, 2 skipped\n\
        \x20       FAIL [   0.006s] (2/3) foo::it it_fails\n\
        \x20    TIMEOUT [   9.006s] (3/3) foo::it it_hangs\nerror: test run failed\n";
    assert_eq!(parse(log), report(3, &["foo::it it_fails", "foo::it it_hangs"]));
    let none =
        "     Summary [   0.000s] 0 tests run: 0 passed, 0 skipped\nerror: no tests to run\n";
    assert_eq!(parse(none), report(0, &[]));
}

#[test]
fn go_counts_only_where_it_says_what_ran() {
    let failing = [
        "example.com/m/a.TestBad",
        "example.com/m/a.TestTable",
        "example.com/m/a.TestTable/three",
        "example.com/m/d",
        "example.com/m/e.TestBoom",
    ];
    assert_eq!(fixture!("go_v"), report(7, &failing));
    assert_eq!(fixture!("go_json"), report(7, &failing));
    assert_eq!(fixture!("go_cached"), report(1, &[]));
    assert_eq!(fixture!("go_cover"), report(1, &[]));
    assert_eq!(fixture!("go_none"), report(0, &[]));
    assert_eq!(fixture!("go_plain"), None);
    assert_eq!(fixture!("go_plain_ok"), None);
    // A test that prints without a line end hides its verdict.
    let glued = "=== RUN   TestA\nhello--- PASS: TestA (0.00s)\nPASS\nok  \tm\t0.1s\n";
    assert_eq!(parse(glued), report(1, &[]));
    // Cut off before the line of the package: no end, no count.
    assert_eq!(parse("=== RUN   TestA\n--- PASS: TestA (0.00s)\n"), None);
}

#[test]
fn pytest_reads_the_short_summary() {
    let red = report(
        8,
        &[
            "t/test_a.py::test_bad",
            "t/test_a.py::test_p[a b]",
            "t/test_a.py::test_p[c - d]",
            "t/test_a.py::TestC::test_m",
            "t/test_a.py::test_err (error)",
        ],
    );
    assert_eq!(fixture!("pytest"), red);
    assert_eq!(fixture!("pytest_q"), red);
    assert_eq!(fixture!("pytest_xdist"), red);
    assert_eq!(counts(fixture!("pytest_rn")), unnamed(8, 5));
    assert_eq!(fixture!("pytest_ok_q"), report(1, &[]));
    assert_eq!(fixture!("pytest_load"), report(0, &["load/test_b.py (error)"]));
    assert_eq!(fixture!("pytest_none"), report(0, &[]));
    assert_eq!(fixture!("pytest_empty"), report(0, &[]));
}

#[test]
fn unittest_reads_its_closing_lines() {
    let red = report(
        6,
        &[
            "test_err (test_u.T.test_err)",
            "test_bad (test_u.T.test_bad)",
            "test_sub (test_u.T.test_sub) (i=1)",
            "test_sub (test_u.T.test_sub) (i=2)",
            "test_unexp (test_u.T.test_unexp)",
        ],
    );
    assert_eq!(fixture!("unittest"), red);
    assert_eq!(fixture!("unittest_ok"), report(1, &[]));
    assert_eq!(fixture!("unittest_none"), report(0, &[]));
    // Since Python 3.12.
    let none = "\n----------------------------------------------------------------------\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n";
    assert_eq!(parse(none), report(0, &[]));
}

#[test]
fn node_is_read_as_tap_and_as_spec() {
    let tap = ["subtracts", "suite > inner bad", "parent > child bad", "parent"];
    assert_eq!(fixture!("node_tap"), report(6, &tap));
    let mut load = tap.to_vec();
    load.push("/workspace/test/b.test.js");
    assert_eq!(fixture!("node_load"), report(7, &load));
    // The spec reporter counts a parent of failed subtests, but does not list it.
    let spec = fixture!("node_spec").unwrap();
    assert_eq!((spec.executed, spec.failed, spec.named), (7, 5, false));
    assert_eq!(
        spec.failing,
        [
            "test/a.test.js > child bad",
            "test/a.test.js > inner bad",
            "test/a.test.js > subtracts",
            "test/b.test.js > /workspace/test/b.test.js",
        ]
    );
    assert_eq!(fixture!("node_none"), report(0, &[]));
    assert_eq!(fixture!("node_none_spec"), report(0, &[]));
}

#[test]
fn any_tap_is_read_by_its_points() {
    let log = "TAP version 13\n1..5\nok 1 - a\nnot ok 2 - b # oh\nok 3 - c # SKIP no net\nnot ok 4 - d # TODO\n    not ok 1 - deep\nnot ok 5\n";
    assert_eq!(parse(log), report(3, &["b # oh", "5"]));
    assert_eq!(parse("1..2\nok 1 one\nnot ok 2 two\n"), report(2, &["two"]));
    assert_eq!(parse("1..0 # SKIP nothing\n"), report(0, &[]));
    assert_eq!(parse("ok 1 then\nok 2 next\n"), None);
}

#[test]
fn jest_names_tests_and_files_that_do_not_load() {
    assert_eq!(
        fixture!("jest"),
        report(
            4,
            &["src/a.test.js › math › subtracts", "src/b.test.js › also fails", "src/c.test.js",]
        )
        .map(|report| TestReport { executed: 4, ..report })
    );
    assert_eq!(fixture!("jest_ok"), report(1, &[]));
    assert_eq!(fixture!("jest_none"), report(0, &[]));
    assert_eq!(
        parse("FAIL src/slow.test.js (5.123 s)\n  ● is slow\n\nTests:       1 failed, 1 total\n"),
        report(1, &["src/slow.test.js › is slow"])
    );
}

#[test]
fn vitest_names_tests_and_files_that_do_not_load() {
    assert_eq!(
        fixture!("vitest"),
        report(3, &["src/a.test.js > math > subtracts", "src/c.test.js"])
    );
    assert_eq!(fixture!("vitest_load"), report(0, &["src/c.test.js"]));
    assert_eq!(fixture!("vitest_filtered"), report(0, &["src/c.test.js"]));
    assert_eq!(fixture!("vitest_none"), report(0, &[]));
}

#[test]
fn mocha_joins_the_titles() {
    assert_eq!(
        fixture!("mocha"),
        report(5, &["top bad", "math > subtracts", "math > deep > nested one"])
    );
    assert_eq!(
        fixture!("mocha_tap"),
        report(5, &["top bad", "math subtracts", "math deep nested one"])
    );
    assert_eq!(fixture!("mocha_zero"), report(0, &[]));
    assert_eq!(fixture!("mocha_none"), report(0, &[]));
}

#[test]
fn surefire_counts_modules_not_classes() {
    assert_eq!(fixture!("mvn"), report(4, &["x.ATest.bad", "x.ATest.err"]));
    let module = "[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s - in x.A\n[INFO] \n[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0\n";
    assert_eq!(parse(&module.repeat(3)), report(6, &[]));
    assert_eq!(fixture!("mvn_none"), report(0, &[]));
}

#[test]
fn gradle_is_silent_when_green() {
    let red = "> Task :compileJava\n> Task :test FAILED\n\nATest > bad() FAILED\n    java.lang.AssertionError at ATest.java:8\n\n4 tests completed, 1 failed, 1 skipped\n\nBUILD FAILED in 2s\n";
    assert_eq!(parse(red), report(3, &["ATest > bad()"]));
    assert_eq!(parse("> Task :test\n\nBUILD SUCCESSFUL in 2s\n"), None);
    assert_eq!(parse("> Task :test NO-SOURCE\n\nBUILD SUCCESSFUL in 2s\n"), report(0, &[]));
    let logged =
        "> Task :test\nATest > good() PASSED\nATest > bad() FAILED\n2 tests completed, 1 failed\n";
    assert_eq!(parse(logged), report(2, &["ATest > bad()"]));
}

#[test]
fn ctest_leaves_out_what_did_not_run() {
    assert_eq!(fixture!("ctest"), report(3, &["bad", "gone"]));
    assert_eq!(fixture!("ctest_ok"), report(1, &[]));
    assert_eq!(fixture!("ctest_disabled"), report(1, &[]));
    assert_eq!(fixture!("ctest_none"), report(0, &[]));
}

#[test]
fn several_runners_are_summed_and_other_text_is_none() {
    let both = format!(
        "{}{}",
        include_str!("fixtures/unittest_ok.txt"),
        include_str!("fixtures/cargo_none.txt")
    );
    assert_eq!(parse(&both), report(1, &[]));
    // A runner that does not count makes the sum unknown.
    let unknown = format!("{both}{}", include_str!("fixtures/go_plain_ok.txt"));
    assert_eq!(parse(&unknown), None);
    for text in ["", "\n\n", "make: Nothing to be done for 'test'.\n", "Compiling foo v0.1.0\n"] {
        assert_eq!(parse(text), None);
    }
}

#[test]
fn bare_counts_are_read_where_nothing_else_is_known() {
    assert_eq!(counts(parse("Results: 3 passed, 1 failed, 2 skipped\n")), unnamed(4, 1));
    assert_eq!(counts(parse("ok | 3 passed | 0 failed (10ms)\n")), Some((3, 0, true)));
    assert_eq!(
        counts(parse("Passed! - Failed:     0, Passed:     2, Total: 2\n")),
        Some((2, 0, true))
    );
    assert_eq!(parse("my 2 friends passed and failed\n"), None);
}

#[test]
fn hostile_logs_are_bounded() {
    // Every fixture, cut in many places and turned around, is read without a panic.
    let all = [
        include_str!("fixtures/node_load.txt"),
        include_str!("fixtures/vitest.txt"),
        include_str!("fixtures/mocha.txt"),
        include_str!("fixtures/pytest_xdist.txt"),
        include_str!("fixtures/go_json.txt"),
        include_str!("fixtures/ctest.txt"),
    ];
    for log in all {
        for (at, _) in log.char_indices().step_by(127) {
            parse(&log[at..]);
            parse(&log[..at]);
        }
        parse(&log.chars().rev().collect::<String>());
    }
    // Counts too great are no counts, or stop at the top.
    let huge = "test result: ok. 999999999 passed; 99999999999999999999 failed;\n".repeat(50);
    assert_eq!(counts(parse(&huge)), Some((49_999_999_950, 0, true)));
    // More names than are kept, and one that is too long.
    let mut names = String::from("= short test summary info =\n");
    for i in 0..5000 {
        writeln!(names, "FAILED a.py::t{i} - x").unwrap();
    }
    names.push_str("5000 failed in 1.0s\n");
    let report = parse(&names).unwrap();
    assert_eq!((report.failing.len(), report.named), (MAX_FAILING, false));
    // Deep nesting, endless lines.
    let mut deep = String::from("TAP version 13\n");
    for i in 0..2000 {
        writeln!(deep, "{}# Subtest: {}", " ".repeat(i), "x".repeat(100)).unwrap();
    }
    writeln!(deep, "{}not ok 1 - y", " ".repeat(2000)).unwrap();
    parse(&deep);
    parse(&"\x1b[".repeat(200_000));
    parse(&"1) ".repeat(200_000));
    parse(&format!("1 failing\n{}", "  1) a\n".repeat(100_000)));
}
