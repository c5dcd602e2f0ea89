//! `run --on-change`: runs a command of the user when something changed.

use std::io;
use std::os::fd::AsFd as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::host;
use crate::json;
use crate::report::{say, visible};
use crate::results::RunChanges;

/// How long the command may run. A nightly job must end, even if a mail server does not answer.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// How the command ended.
#[derive(Debug)]
enum HookEnd {
    Ended(ExitStatus),
    Late,
    Interrupted,
}

/// Runs `sh -c COMMAND` with the changes as JSON on its stdin, if there are any. Its stdout goes to stderr, because this
/// program's stdout has the results. A failure is told, and changes nothing else.
pub(super) fn on_change(command: &str, changes: Option<&RunChanges>) {
    let Some(changes) = changes else {
        return say(format_args!(
            "backproof: what changed is not known, so --on-change \"{}\" was not run",
            visible(command)
        ));
    };
    if changes.changes.is_empty() {
        return;
    }
    let why = match run(command, changes, LIMIT) {
        Ok(HookEnd::Ended(status)) if status.success() => return,
        Ok(HookEnd::Ended(status)) => format!("it ended with {status}"),
        Ok(HookEnd::Late) => format!("it did not end within {} s and was killed", LIMIT.as_secs()),
        Ok(HookEnd::Interrupted) => "it was interrupted".to_owned(),
        Err(error) => format!("could not run it: {error}"),
    };
    say(format_args!("backproof: --on-change \"{}\" failed: {why}", visible(command)));
}

fn run(command: &str, changes: &RunChanges, limit: Duration) -> io::Result<HookEnd> {
    let document = json::to_vec(changes)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let stopped = host::stopped()?;
        let mut child = start(command)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read it.
                let _ = stdin.write_all(&document).await;
            }
        };
        let ended = tokio::select! {
            ((), status) = async { tokio::join!(feed, child.wait()) } => return status.map(HookEnd::Ended),
            () = stopped => HookEnd::Interrupted,
            () = tokio::time::sleep(limit) => HookEnd::Late,
        };
        end(&mut child).await;
        Ok(ended)
    });
    runtime.shutdown_background();
    ended
}

fn start(command: &str) -> io::Result<Child> {
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::piped()).stdout(stderr).kill_on_drop(true);
    // A group of its own, so that all of it can be ended.
    shell.process_group(0).spawn()
}

/// Kills the command and the processes that it started.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::results::{CHANGES_VERSION, ComparedRun, RunSelection};

    fn changes() -> RunChanges {
        let run = |id: &str| ComparedRun {
            id: id.to_owned(),
            started: "2026-12-01T00:00:00Z".to_owned(),
            matrix: "kernels.yaml".to_owned(),
            selection: RunSelection::default(),
            interrupted: false,
            exit_code: Exit::Clean,
        };
        let (before, after) = (Some(run("a")), run("b"));
        RunChanges {
            schema_version: CHANGES_VERSION,
            before,
            after,
            compared: 0,
            changes: vec![],
            not_compared: vec![],
        }
    }

    #[test]
    fn command_reads_the_changes_and_may_fail_or_be_late() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("seen").display().to_string();
        let minute = Duration::from_secs(60);
        let ended = run(&format!("cat > '{file}'; exit 7"), &changes(), minute).expect("it runs");
        assert!(matches!(ended, HookEnd::Ended(status) if status.code() == Some(7)), "{ended:?}");
        let seen: RunChanges = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
        assert_eq!(seen, changes());
        let ended = run("exec sleep 1000", &changes(), Duration::from_millis(100)).expect("it runs");
        assert!(matches!(ended, HookEnd::Late), "{ended:?}");
        let ended = run("true", &changes(), minute).expect("it runs");
        assert!(matches!(ended, HookEnd::Ended(status) if status.success()), "{ended:?}");
    }
}
