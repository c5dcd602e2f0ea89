//! A "kernel source" whose Makefile is a few lines of shell, so a build takes no time. Files beside the source control
//! its compiler, because only the source is copied into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use super::tiny_kernel::{Act, image};

const MAKEFILE: &str = "\
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 7

sources := $(shell cd $(CURDIR) && find net -name '*.c' | sort)

allnoconfig:
	@mkdir -p $(O) && if [ -e @HERE@/drop ]; then grep -v CONFIG_TUN $(KCONFIG_ALLCONFIG); else cat $(KCONFIG_ALLCONFIG); fi > $(O)/.config

olddefconfig:
	@mkdir -p $(O) && touch $(O)/.config

bzImage: $(sources:%.c=$(O)/%.o)
	@mkdir -p $(O)/arch/x86/boot && { cat $(CURDIR)/image; printf '6.1.7%s\\0' '$(LOCALVERSION)'; cat $^ $(O)/.config; } > $(O)/arch/x86/boot/bzImage
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
        // The release follows the image, at the offset in `kernel_version` (Documentation/arch/x86/boot.rst).
        let mut image = image(&[Act::Halt]);
        let at = u16::try_from(image.len() - 0x200).expect("a small image");
        image[0x20e..0x210].copy_from_slice(&at.to_le_bytes());
        fs::write(source.path().join("image"), image).expect("a file");
        for (name, text) in files {
            source.write(name, text);
        }
        source
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
