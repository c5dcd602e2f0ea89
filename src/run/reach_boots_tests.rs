//! What cells say of functions whose entries were counted.

use super::*;

/// A guest that says this after its first job.
fn says_after_first_job(line: &str) -> Vec<Act> {
    let mut acts = sound(&[ONE, OTHER]);
    acts.insert(5, agent(&format!("{line}\n")));
    acts
}

/// What a cell says of each function, if its guest says this after its first job.
async fn reach_said(functions: &[&str], lines: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let reach = functions.iter().map(|name| (*name).to_owned()).collect();
    let setup = Setup { reach, seeds: u32::try_from(lines.len()).expect("few"), ..PLAIN };
    let booting = boots_in(folder.path(), setup, lines.iter().map(|line| says_after_first_job(line)).collect()).await;
    assert!(booting.ends.iter().all(|(end, _)| end == "sound"), "{:?}", booting.ends);
    booting.settled[0].reach.iter().map(|(name, reach)| format!("{name} {reach}")).collect()
}

#[tokio::test(start_paused = true)]
async fn reach_of_all_seeds_is_added_up() {
    let said = |a, b| {
        let counted = |entries| format!(r#"{{"counted":{{"entries":{entries},"missed":1}}}}"#);
        format!(r#"{{"type":"reach","job":"{ONE}","functions":{{"a":{},"b":{b}}}}}"#, counted(a))
    };
    let zero = r#"{"counted":{"entries":0,"missed":0}}"#;
    let lines = [said(13, zero), said(0, zero)];
    assert_eq!(reach_said(&["a", "b"], &lines).await, ["a ran 15 times in 2 boots", "b never ran in 2 boots"]);
    let lines = [said(13, zero), said(0, r#"{"not-counted":"inlined"}"#)];
    let expected = ["a ran 15 times in 2 boots", "b never ran; not counted in others: inlined"];
    assert_eq!(reach_said(&["a", "b"], &lines).await, expected);
    assert_eq!(reach_said(&[], &lines).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn hostile_reach_is_bounded_to_what_was_asked() {
    let reach = |more: &str| format!(r#"{{"type":"reach","job":"{ONE}",{more}}}"#);
    let many: Vec<String> = (0..1500).map(|n| format!(r#""f{n}":{{"not-counted":"\u001b["}}"#)).collect();
    let huge = r#"{"counted":{"entries":18446744073709551615,"missed":18446744073709551615}}"#;
    let long = "x".repeat(60_000);
    let again = [reach(r#""functions":{"a":{"not-counted":"first"}}"#), reach(r#""functions":{}"#)].join("\n");
    for (line, expected) in [
        (reach(&format!(r#""functions":{{{}}}"#, many.join(","))), "not counted: the guest did not count it"),
        (reach(&format!(r#""functions":{{"a":{huge}}}"#)), "ran 18446744073709551615 times"),
        (reach(r#""functions":{"a":{"not-counted":"\u001b[2J\n"}}"#), "not counted: \u{fffd}[2J\u{fffd}"),
        (reach(&format!(r#""unavailable":"{long}""#)), &format!("not counted: {}", "x".repeat(300))),
        (again, "not counted: first"),
        (r#"{"type":"of-the-future"}"#.to_owned(), "not counted: the reproducer did not run to its end"),
    ] {
        assert_eq!(reach_said(&["a"], std::slice::from_ref(&line)).await, [format!("a {expected}")], "{line:.200}");
    }
}

#[tokio::test(start_paused = true)]
async fn boot_that_counted_nothing_is_not_cached_for_one_that_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await;
    let counting = || Setup { reach: vec!["a".to_owned()], ..PLAIN };
    let line =
        format!(r#"{{"type":"reach","job":"{ONE}","functions":{{"a":{{"counted":{{"entries":1,"missed":0}}}}}}}}"#);
    let booting = boots_in(folder.path(), counting(), vec![says_after_first_job(&line)]).await;
    assert_eq!((booting.played.len(), booting.settled[0].reach["a"].entries), (1, 1));
    let cached = boots_in(folder.path(), counting(), Vec::new()).await;
    assert_eq!((cached.played.len(), &cached.settled[0].reach), (0, &booting.settled[0].reach));
}
