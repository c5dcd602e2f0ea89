//! A "kernel source" whose Makefile is a few lines of shell, so a build takes no time. Files beside the source control
//! its compiler, because only the source is copied into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use super::tiny_kernel::{Act, image};

/// Makes [`FakeSource::behaving`] good.
pub const FIX: &str = "--- a/net/b.c\n+++ b/net/b.c\n@@ -1 +1 @@\n-behaves: -affected\n+behaves: -fixed\n";

/// The release of what is built of it.
const RELEASE: &str = "6.1.7-backproof";

const MAKEFILE: &str = "\
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 7

# One after the other, so that a.c is compiled when b.c is held.
.NOTPARALLEL:

sources := $(shell cd $(CURDIR) && find net -name '*.c' | sort)

allnoconfig:
	@mkdir -p $(O) && if [ -e @HERE@/drop ]; then grep -v CONFIG_TUN $(KCONFIG_ALLCONFIG); else cat $(KCONFIG_ALLCONFIG); fi > $(O)/.config

olddefconfig:
	@mkdir -p $(O) && touch $(O)/.config

bzImage: $(sources:%.c=$(O)/%.o)
	@mkdir -p $(O)/arch/x86/boot && kind=$$(sed -n 's/^behaves: //p' $(CURDIR)/net/b.c) && { cat $(CURDIR)/image$$kind; printf '6.1.7%s\\0' '$(LOCALVERSION)'; cat $^ $(O)/.config; } > $(O)/arch/x86/boot/bzImage
	@cat $^ > $(O)/vmlinux

$(O)/generated.h:
	@mkdir -p $(O) && echo whole > $@

$(O)/%.o: %.c $(O)/generated.h
	@echo '  CC      $*.o'
	@mkdir -p $(@D) && KCFLAGS='$(KCFLAGS)' sh $(CURDIR)/compile $< $@ $(O)/generated.h && echo cmd > $(@D)/.$(@F).cmd
";

/// Writes half an object, obeys the control files, and then writes the whole object.
const COMPILER: &str = "\
set -e
echo half > $2
echo $(basename $1) >> @HERE@/compiled
if [ -e @HERE@/hold ] && [ $(basename $1) = b.c ]; then
  touch @HERE@/reached
  # Opening a FIFO waits for somebody who writes.
  cat @HERE@/hold > /dev/null
fi
if [ -e @HERE@/old ]; then
  case \"$KCFLAGS\" in *-Wno-error=odd*) ;; *) echo \"net/b.c:1:1: error: odd [-Werror=odd]\" >&2; exit 1;; esac
fi
if [ -e @HERE@/broken ]; then echo \"$1:1:1: error: expected a semicolon\" >&2; exit 1; fi
if [ -e @HERE@/full ]; then dd if=/dev/zero of=$(dirname $2)/fill bs=1M 2>&1; fi
[ -s $3 ] || { echo 'generated.h is empty' >&2; exit 1; }
cat $1 > $2
";

/// The folder of a fake source; files beside it control it.
pub struct FakeSource {
    here: PathBuf,
}

impl FakeSource {
    /// In `here/linux`, with two files to compile beside `files`.
    pub fn new(here: &Path, files: &[(&str, &str)]) -> Self {
        let source = Self { here: here.to_owned() };
        let told = |text: &str| text.replace("@HERE@", &here.display().to_string());
        source.write("Makefile", &told(MAKEFILE));
        source.write("compile", &told(COMPILER));
        source.write("net/a.c", "whole a\n");
        source.write("net/b.c", "whole b\n");
        source.write("arch/x86/Makefile", "");
        source.write_image("image", &[Act::Halt]);
        for (name, text) in files {
            source.write(name, text);
        }
        source
    }

    /// What is built of it boots, and behaves as the line `behaves: …` of net/b.c has it: `-affected`, `-fixed`, `-dies`.
    pub fn behaving(here: &Path, bug: &str) -> Self {
        let source = Self::new(here, &[]);
        let agent = |line: String| Act::Agent(line + "\n");
        let banner = Act::Console(format!("[    0.000000] Linux version {RELEASE}\r\n"));
        let hello = agent(format!(
            r#"{{"type":"hello","version":3,"agent":"0","release":"{RELEASE}","build":"","cpus":1,"uptime_ms":1,"features":{{}}}}"#
        ));
        let check = |name: &str, role: &str, shown: &str| {
            format!(r#"{{"name":"{name}","role":"{role}","shown":"{shown}","why":"it says so"}}"#)
        };
        for (kind, conclusion, shown) in [("-affected", "affected", "yes"), ("-fixed", "not-affected", "no")] {
            let checks = [
                check("recipe", "recipe", shown),
                check("positive", "positive-control", "yes"),
                check("negative", "negative-control", "no"),
            ];
            let report = format!(
                r#"{{"type":"report","job":"{bug}","conclusion":"{conclusion}","why":"a boot that says {conclusion}","checks":[{}],"took_ms":1}}"#,
                checks.join(",")
            );
            source.write_image(
                &format!("image{kind}"),
                &[
                    banner.clone(),
                    hello.clone(),
                    agent(format!(r#"{{"type":"started","job":"{bug}"}}"#)),
                    agent(report),
                    agent(r#"{"type":"end","reports":1}"#.to_owned()),
                    Act::Console("[    1.000000] reboot: machine restart\r\n".to_owned()),
                    Act::Reset,
                ],
            );
        }
        source.write_image("image-dies", &[banner, Act::Reset]);
        source.write("net/b.c", "behaves: -affected\n");
        source
    }

    fn write_image(&self, name: &str, acts: &[Act]) {
        // The release follows the image, at the offset in `kernel_version` (Documentation/arch/x86/boot.rst).
        let mut image = image(acts);
        let at = u16::try_from(image.len() - 0x200).expect("a small image");
        image[0x20e..0x210].copy_from_slice(&at.to_le_bytes());
        fs::write(self.path().join(name), image).expect("a file");
    }

    /// An image that behaves like that, as it would be built.
    pub fn image(&self, behaves: &str) -> Vec<u8> {
        let image = fs::read(self.path().join(format!("image{behaves}"))).expect("an image");
        [image, format!("{RELEASE}\0").into_bytes()].concat()
    }

    pub fn path(&self) -> PathBuf {
        self.here.join("linux")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Sets a flag for the compiler: `broken`, `full`, `drop`.
    pub fn tell(&self, what: &str) {
        fs::write(self.here.join(what), "").expect("a file");
    }

    /// Removes the flag.
    pub fn untell(&self, what: &str) {
        fs::remove_file(self.here.join(what)).expect("it was told");
    }

    /// Makes the compiler hang in the middle of b.c.
    pub fn hold(&self) {
        let made = std::process::Command::new("mkfifo").arg(self.here.join("hold")).status().expect("mkfifo");
        assert!(made.success());
    }

    /// Whether it hangs there.
    pub fn is_held(&self) -> bool {
        self.here.join("reached").exists()
    }

    /// The compiled files so far, in order of names.
    pub fn compiled(&self) -> Vec<String> {
        let text = fs::read_to_string(self.here.join("compiled")).unwrap_or_default();
        let mut names: Vec<_> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    }
}
