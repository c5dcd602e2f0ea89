//! Creates histories of a file in C, whose commits and content may contradict each other, and checks the answers.

use git2::Oid;

use super::fixture::*;
use super::{GitIndex, GitTestimony};
use crate::evidence::Strength;
use crate::matrix::{Bug, Releases};
use crate::words::{Role, State};

pub const HEAD: &str =
    "#include <net/queue.h>\n\nstatic int first_of_the_queue(struct queue *queue)\n{\n\treturn queue->first;\n}\n\n";
pub const OPEN: &str =
    "int split_the_packet(struct queue *queue, struct packet *packet)\n{\n\tint length_of_packet = packet->length;\n\n";
pub const CLOSE: &str =
    "\tprepare_the_second_half(queue, packet);\n\treturn finish_the_split(queue, length_of_packet);\n}\n";
pub const OLD: &str = "\tif ((queue->queued_bytes >> 1) > queue->send_buffer) {\n\t\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n\t\treturn -ENOMEM;\n\t}\n";
pub const NEW: &str = "\tlimit_of_queue = queue->send_buffer + SLACK_OF_PACKETS;\n\tif ((queue->queued_bytes >> 1) > limit_of_queue &&\n\t    packet != first_of_the_queue(queue)) {\n\t\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n\t\treturn -ENOMEM;\n\t}\n";
pub const PARTLY: &str = "\tlimit_of_queue = queue->send_buffer + SLACK_OF_PACKETS;\n\tif ((queue->queued_bytes >> 1) > queue->send_buffer) {\n\t\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n\t\treturn -ENOMEM;\n\t}\n";

pub fn file(limit: &str) -> String {
    [HEAD, OPEN, limit, CLOSE].concat()
}

/// A file around which a vendor has other lines and conditions.
pub fn other_file(limit: &str) -> String {
    let vendor = "static void trace_of_the_vendor(struct queue *queue)\n{\n}\n\n#if IS_ENABLED(CONFIG_VENDOR_NET)\n";
    let more =
        "\ttrace_of_the_vendor(queue);\n#ifdef CONFIG_VENDOR_TRACE\n\ttrace_more_of_the_vendor(queue);\n#endif\n";
    [HEAD, vendor, OPEN, more, limit, more, CLOSE, "#endif\n"].concat()
}

fn within(before: &str, text: &str, after: &str) -> String {
    format!("{before}{text}{after}")
}

/// Ways to keep lines in a file without compiling them, or only perhaps.
pub fn turned_off(limit: &str, instead: &str) -> Vec<(&'static str, String)> {
    vec![
        ("#if 0", within("#if 0\n", limit, "#endif\n") + instead),
        ("#if 0 and else", within("#if 0\n", limit, &format!("#else\n{instead}#endif\n"))),
        ("#if 1 and else", within(&format!("#if 1\n{instead}#else\n"), limit, "#endif\n")),
        ("#ifdef", within("#ifdef CONFIG_VENDOR_LIMIT\n", limit, &format!("#else\n{instead}#endif\n"))),
        ("#ifndef", within(&format!("#ifndef CONFIG_VENDOR_LIMIT\n{instead}#else\n"), limit, "#endif\n")),
        (
            "#elif",
            within(&format!("#ifdef A\n{instead}#elif defined(B)\n"), limit, &format!("#else\n{instead}#endif\n")),
        ),
        ("IS_ENABLED", within("#if IS_ENABLED(CONFIG_VENDOR_LIMIT)\n", limit, &format!("#else\n{instead}#endif\n"))),
        ("nested", within("#ifdef CONFIG_A\n#if 0\n", limit, &format!("#endif\n#endif\n{instead}"))),
        ("continued", within("#if defined(A) && \\\n\tdefined(B)\n", limit, &format!("#else\n{instead}#endif\n"))),
        ("comment", within("/*\n", limit, "*/\n") + instead),
        ("comment after code", within("\tint unused_of_the_vendor; /* was\n", limit, "*/\n") + instead),
        ("lines of comment", limit.lines().map(|line| format!("//{line}\n")).collect::<String>() + instead),
    ]
}

/// What a question must be answered with.
#[derive(Clone, Copy, Debug)]
pub enum Right {
    /// Strongly this state.
    Told(State),
    /// Nothing strong that excludes one of these.
    Open(State, State),
}

pub struct Placements {
    pub fixture: Fixture,
    pub bug: Bug,
    pub base: Oid,
    pub other_base: Oid,
    pub break_: Oid,
    pub fix: Oid,
    pub questions: Vec<(String, String, Right)>,
}

impl Placements {
    pub fn new() -> Self {
        let fixture = Fixture::new();
        let first = file("");
        let root = fixture.commit(&[], "Linux-2.6.12-rc2", &[("Makefile", &makefile("2.6.12-rc2")), (FILE, &first)]);
        fixture.tag("v2.6.12-rc2", root);
        let release = |parent, version: &str| {
            let commit = fixture.commit(&[parent], format!("Linux {version}\n"), &[("Makefile", &makefile(version))]);
            fixture.tag(&format!("v{version}"), commit);
            commit
        };
        let v4_19 = release(root, "4.19");
        let v5_1 = release(v4_19, "5.1");
        let break_ = fixture.line(v5_1, &[(BREAK_SUBJECT, &file(OLD))]);
        let v5_2 = release(break_, "5.2-rc6");
        let fix = fixture.line(v5_2, &[(&format!("{FIX_SUBJECT}\n\nFixes: {break_} (\"x\")\n"), &file(NEW))]);
        let tip = release(fix, "5.3-rc2");
        fixture.branch("master", tip);
        let mainline = Mainline { v4_14: root, v4_19, v5_1, break_, half_fix: break_, fix, tip };
        let mut bug = bug(&mainline);
        bug.chain = vec![step(Role::Break, Some(break_), BREAK_SUBJECT), step(Role::Fix, Some(fix), FIX_SUBJECT)];
        let releases = bug.releases.take().unwrap();
        bug.releases = Some(Releases { stable: Vec::new(), ..releases });
        bug.releases.as_mut().unwrap().mainline.remove(&Role::HalfFix);
        let base = release(v4_19, "4.19.50");
        let other_base = fixture.line(base, &[("net: the vendor's own", &other_file(""))]);
        Self { fixture, bug, base, other_base, break_, fix, questions: Vec::new() }
    }

    pub fn ask_later(&mut self, name: &str, tip: Oid, right: Right) {
        let branch = format!("q-{}", self.questions.len());
        self.fixture.branch(&branch, tip);
        self.questions.push((name.to_owned(), branch, right));
    }

    pub fn on(&self, parent: Oid, message: &str, text: &str) -> Oid {
        self.fixture.line(parent, &[(message, text)])
    }

    pub fn claim(&self, of: Oid) -> String {
        picked("net: a vendor's own words", of)
    }

    pub fn broken(&self) -> Oid {
        self.on(self.base, &self.claim(self.break_), &file(OLD))
    }

    pub fn fixed(&self) -> Oid {
        self.on(self.broken(), &self.claim(self.fix), &file(NEW))
    }

    pub fn check(&self) {
        let index: GitIndex = self.fixture.index();
        let mut faults = Vec::new();
        for (name, branch, right) in &self.questions {
            let GitTestimony { finding, warnings, .. } = index.ask(&self.bug, branch).unwrap();
            let is_strong = finding.strength == Strength::Strong;
            let is_right = match right {
                Right::Told(state) => is_strong && finding.states == set(&[*state]),
                Right::Open(one, other) => {
                    !is_strong || finding.states.contains(*one) && finding.states.contains(*other)
                }
            };
            if !is_right {
                let (states, strength, why) = (finding.states, finding.strength, finding.why);
                faults.push(format!("{name}: {right:?}, but {states:?} {strength:?}: {why}\n    {warnings:?}"));
            }
        }
        assert!(faults.is_empty(), "{} of {} faults:\n{}", faults.len(), self.questions.len(), faults.join("\n"));
    }
}
