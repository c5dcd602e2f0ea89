//! Which broken boots are repeated, and which bugs are confirmed by further boots.

use super::super::super::retry::CellFault;
use super::*;
use crate::verdict::Boots;

/// Under KVM time is real.
fn real() -> Setup {
    Setup { choice: AccelChoice::Kvm, ..PLAIN }
}

/// A guest whose first job reports this, and whose second is sound.
fn first_reports(conclusion: &str, shown: &str) -> Vec<Act> {
    let mut acts = sound(&[ONE, OTHER]);
    acts.splice(3..5, reports(ONE, conclusion, shown));
    acts
}

/// The same, alone.
fn one_reports(conclusion: &str, shown: &str) -> Vec<Act> {
    let mut acts = sound(&[ONE]);
    acts.splice(3..5, reports(ONE, conclusion, shown));
    acts
}

/// A guest that comes up and says nothing more.
fn hangs() -> Vec<Act> {
    vec![wait(100), console(BOOTED), agent(HELLO), wait(10_000_000)]
}

/// What became of the first job: of the boots, how it ended, how many were repeated, what broke, and whether a death is
/// unexplained.
async fn first_job(setup: Setup, scripts: Vec<Vec<Act>>) -> (Vec<String>, String, usize, Option<CellFault>, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let booting = boots_in(folder.path(), setup, scripts).await;
    let (booted, (end, unexplained)) = (&booting.settled[0], &booting.ends[0]);
    let fault = booted.settlement.fault;
    let numbers: Vec<String> = (1..=booted.folders.len()).map(|number| format!("boot-{number}")).collect();
    assert_eq!(booted.folders, numbers, "both tries are kept");
    (booting.played, end.clone(), booted.retried.len(), fault, *unexplained)
}

#[tokio::test(start_paused = true)]
async fn broken_boot_is_repeated_once_where_it_may_help() {
    let killed = || vec![wait(100), exit(9)];
    let (tcg, kvm) = (format!("tcg: {ONE} {OTHER}"), format!("kvm: {ONE} {OTHER}"));
    let (kvm_one, host) = (format!("kvm: {ONE}"), "host error: something on the host ended QEMU");
    let sound_both = || sound(&[ONE, OTHER]);
    let error = || first_reports("error", "unclear");
    for (setup, scripts, played, end, retried, fault, unexplained) in [
        // The host's fault, in either time.
        (PLAIN, vec![killed(), sound_both()], vec![&tcg, &tcg], "sound", 1, None, false),
        (PLAIN, vec![killed(), killed()], vec![&tcg, &tcg], host, 1, Some(CellFault::Harness), false),
        (real(), vec![killed(), sound_both()], vec![&kvm, &kvm], "sound", 1, None, false),
        // A guest in virtual time would repeat itself to the byte.
        (PLAIN, vec![error()], vec![&tcg], "", 0, Some(CellFault::Reproducer), false),
        // In real time only the job that broke boots again.
        (real(), vec![error(), sound(&[ONE])], vec![&kvm, &kvm_one], "sound", 1, None, false),
        (
            real(),
            vec![error(), one_reports("error", "unclear")],
            vec![&kvm, &kvm_one],
            "",
            1,
            Some(CellFault::Reproducer),
            false,
        ),
        // What was affected in the second try is affected.
        (real(), vec![error(), one_reports("affected", "yes")], vec![&kvm, &kvm_one], "sound", 1, None, false),
    ] {
        let got = first_job(setup, scripts).await;
        assert_eq!(got.0.iter().collect::<Vec<_>>(), played);
        assert!(got.1.starts_with(end), "{got:?}");
        assert_eq!((got.2, got.3, got.4), (retried, fault, unexplained), "{got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn death_of_a_guest_is_never_hidden_by_a_retry() {
    let one = |setup: Setup| Setup { alone: true, ..setup };
    // A panic is an answer, not an accident.
    for setup in [one(PLAIN), one(real())] {
        let (played, end, retried, fault, _) = first_job(setup, vec![panics(), sound(&[ONE])]).await;
        assert_eq!((played.len(), retried, fault), (1, 0, Some(CellFault::Guest)));
        assert!(end.starts_with("panic: x"), "{end}");
    }
    // A hang in real time may be one: it is repeated, and stays unexplained if that goes well.
    let (played, end, retried, fault, unexplained) = first_job(one(real()), vec![hangs(), sound(&[ONE])]).await;
    assert_eq!((played.len(), end.as_str(), retried, fault, unexplained), (2, "sound", 1, None, true));
    let (played, _, retried, fault, unexplained) = first_job(one(real()), vec![hangs(), hangs()]).await;
    assert_eq!((played.len(), retried, fault, unexplained), (2, 1, Some(CellFault::Guest), false));
}

/// The finding of the first job, and the number of boots.
async fn confirmed(setup: Setup, scripts: Vec<Vec<Act>>) -> (String, bool, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let booting = boots_in(folder.path(), setup, scripts).await;
    let Boots::Showed(finding) = &booting.settled[0].settlement.boots else { panic!("{:?}", booting.ends) };
    (finding.why.clone(), finding.is_affected(), booting.played.len())
}

#[tokio::test(start_paused = true)]
async fn bug_that_showed_is_confirmed_by_further_boots() {
    let affected = || one_reports("affected", "yes");
    let both = || first_reports("affected", "yes");
    let confirm = |setup: Setup| Setup { confirm: 3, ..setup };
    let (why, is_affected, boots) = confirmed(confirm(PLAIN), vec![both(), affected(), affected()]).await;
    assert!(why.starts_with("3 of 3 seeds: affected (first: 1)") && is_affected && boots == 3, "{why} {boots}");
    // Boots that do not repeat it are counted, and change no verdict.
    let scripts = vec![both(), sound(&[ONE]), one_reports("error", "unclear")];
    let (why, is_affected, _) = confirmed(confirm(PLAIN), scripts).await;
    assert!(why.starts_with("1 of 3 seeds: affected (first: 1); 1 broke") && is_affected, "{why}");
    // In real time there are no seeds, and a cached boot confirms nothing.
    let reuse = Setup { cache: CacheUse::All, ..confirm(real()) };
    let (why, is_affected, boots) = confirmed(reuse, vec![both(), affected(), affected()]).await;
    assert!(why.starts_with("3 of 3 boots: affected;") && is_affected && boots == 3, "{why} {boots}");
    // A kernel without the bug needs no more.
    let (_, is_affected, boots) = confirmed(confirm(PLAIN), vec![sound(&[ONE, OTHER])]).await;
    assert!(!is_affected && boots == 1);
    // Seeds that were tried count.
    let setup = Setup { seeds: 2, ..confirm(PLAIN) };
    let (why, _, boots) = confirmed(setup, vec![both(), sound(&[ONE, OTHER]), affected()]).await;
    assert!(why.starts_with("2 of 3 seeds: affected (first: 1)") && boots == 3, "{why} {boots}");
}
