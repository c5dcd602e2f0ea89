use super::*;

/// What a cell says after requests of the kernel for these modules.
fn told(boots: Boots, requested: &[&str]) -> String {
    let requested: Vec<String> = requested.iter().map(|&name| name.to_owned()).collect();
    match without_modules(boots, &requested) {
        Boots::Showed(finding) => finding.why,
        Boots::Broke(why) | Boots::Inapplicable { reason: why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn silence_without_requested_modules_is_told() {
    let showed = |states| Boots::Showed(Finding::new(Witness::Runtime, states, Strength::Weak, "ended"));
    let silent = || showed(StateSet::not_affected());
    let lacking = "; the kernel asked for modules that it does not have: ";
    assert_eq!(told(silent(), &["net-pf-21"]), format!("ended{lacking}net-pf-21"));
    assert_eq!(told(silent(), &["a", "b", "c", "d", "e", "f"]), format!("ended{lacking}a, b, c, d, e …"));
    assert_eq!(told(Boots::Broke("broke".to_owned()), &["fs-x"]), format!("broke{lacking}fs-x"));
    let skip = Boots::Inapplicable { reason: "TCONF".to_owned(), allowed: false };
    assert_eq!(told(skip, &["fs-x"]), format!("TCONF{lacking}fs-x"));
    // A bug that showed needed none of them.
    assert_eq!(told(showed(StateSet::affected()), &["net-pf-21"]), "ended");
    // Names of interfaces are no modules.
    assert_eq!(told(silent(), &["netdev-dummy0", "dummy0"]), "ended");
    assert_eq!(told(silent(), &["netdev-nr0", "nr0", "rtnl-link-vcan"]), format!("ended{lacking}rtnl-link-vcan"));
    assert_eq!(told(silent(), &[]), "ended");
}
