//! Boots a guest in QEMU and watches it: nothing but this room knows QEMU.
