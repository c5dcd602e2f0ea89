//! A boot as a shell script, so that people can repeat it by hand.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::command::{QemuCommand, Word};

const HEAD: &str = "#!/bin/sh
# Boots the guest again by hand. The kernel's console is on the terminal (Ctrl-C ends it); what the agent says
# goes to a file.
# Usage: boot.sh [AGENT_OUTPUT]
agent=${1:-agent.jsonl}
initramfs=";

impl QemuCommand {
    /// The command as a shell script that boots this initramfs, and takes the file for the agent's lines as its
    /// argument. Bytes, as a path need not be UTF-8.
    pub fn script(&self, initramfs: &Path) -> Vec<u8> {
        let mut out = HEAD.as_bytes().to_vec();
        quote(initramfs.as_os_str().as_bytes(), &mut out);
        out.extend_from_slice(b"\nexec");
        for (i, word) in self.shell_words().iter().enumerate() {
            let option = matches!(word, Word::Text(text) if text.as_bytes().starts_with(b"-"));
            out.extend_from_slice(if option && i > 0 { b" \\\n  " } else { b" " });
            match word {
                Word::Text(text) => quote(text.as_bytes(), &mut out),
                // Writing to memory cannot fail.
                Word::Shell(text) => drop(out.write_all(text.as_bytes())),
            }
        }
        out.push(b'\n');
        out
    }
}

/// A word for sh, quoted if it needs that.
pub fn shell_word(word: &str) -> String {
    let mut out = Vec::new();
    quote(word.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Quotes one word for sh: between single quotes everything is itself but a single quote (POSIX, 2.2.2).
fn quote(word: &[u8], out: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_=+,./:%@".contains(b);
    if !word.is_empty() && word.iter().all(plain) {
        out.extend_from_slice(word);
        return;
    }
    out.push(b'\'');
    for &byte in word {
        if byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::vm::boot::GuestSpec;
    use crate::vm::command::tests::spec;

    #[test]
    fn script_uses_files_instead_of_descriptors() {
        let command = QemuCommand::new(Path::new("/usr/bin/qemu-system-x86_64"), &spec()).expect("a sane guest");
        let script = String::from_utf8(command.script(Path::new("/i"))).expect("UTF-8");
        for part in ["\"$initramfs\"", "\"file,id=agent,path=$agent\"", "-kernel /k/vmlinuz", "stdio,id=console"] {
            assert!(script.contains(part), "{part} in\n{script}");
        }
        assert!(!script.contains("fd="), "{script}");
        assert!(!script.contains("/proc/self"), "{script}");
    }

    proptest! {
        // Each case starts a shell.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn no_path_escapes_from_its_quotes(
            path in proptest::collection::vec(
                prop_oneof![Just(b'\''), Just(b'"'), Just(b'$'), Just(b'`'), Just(b'\\'), Just(b'\n'), Just(b';'),
                    Just(b' '), Just(b'*'), Just(b'~'), 1u8..=255],
                0..40,
            )
        ) {
            let image = OsString::from_vec(path.clone());
            // A program that prints its arguments replaces QEMU.
            let command = QemuCommand::new(Path::new("/usr/bin/printf"), &GuestSpec { image: image.into(), ..spec() })
                .expect("a sane guest");
            let script = String::from_utf8_lossy(&command.script(Path::new("/i"))).into_owned();
            prop_assume!(script.as_bytes() == command.script(Path::new("/i")) || path.iter().any(|b| !b.is_ascii()));
            let mut whole = command.script(Path::new("/i"));
            // `exec printf '%s\0' …`: the format comes first.
            let at = whole.windows(21).position(|w| w == b"exec /usr/bin/printf ").expect("the command") + 20;
            whole.splice(at..at, *b" '%s\\0' --");
            let out = Command::new("/bin/sh").arg("-c").arg(OsString::from_vec(whole)).output()
                .expect("a shell");
            let words: Vec<&[u8]> = out.stdout.split(|&b| b == 0).collect();
            let kernel = words.iter().position(|w| *w == b"-kernel").expect("the option");
            prop_assert_eq!(words[kernel + 1], path.as_slice());
            prop_assert_eq!(words[kernel + 3], b"/i");
        }
    }
}
