use super::*;

#[test]
fn names_become_folders_so_nothing_else_is_one() {
    for good in ["debian-11", "v4.19.57", "a", "0x", "linux-6.1+deb12_cloud"] {
        assert_eq!(good.parse::<KernelName>().map(String::from).as_deref(), Ok(good));
    }
    let long = "a".repeat(101);
    for bad in ["", ".", "..", "-x", "a/b", "a b", "é", "a\n", long.as_str()] {
        assert!(bad.parse::<KernelName>().is_err(), "{bad:?}");
    }
}

#[test]
fn job_id_is_read_back_from_its_text() {
    for text in ["a-bug", "a-bug@large-queues", "a.b+c@d_e"] {
        assert_eq!(text.parse::<JobId>().map(String::from).as_deref(), Ok(text));
    }
    assert_eq!("a-bug@default".parse::<JobId>().map(String::from).as_deref(), Ok("a-bug"));
    for bad in ["", "@", "a@", "@b", "a@b@c", "a/b@c", "a@../c"] {
        assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
    }
}

#[test]
fn expectation_is_an_outcome_or_a_state() {
    for name in Expectation::names() {
        assert!(Expectation::from_name(name).is_some(), "{name}");
    }
    assert_eq!(Expectation::from_name("affected"), Some(Expectation::State(State::Affected)));
    assert_eq!(Expectation::from_name("pass"), Some(Expectation::Outcome(Outcome::Pass)));
    assert_eq!(Expectation::from_name("PASS"), None);
}
