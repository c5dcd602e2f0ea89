#!/bin/sh
# Boots the guest again by hand. The kernel's console is on the terminal (Ctrl-C ends it); what the agent says
# goes to a file.
# Usage: boot.sh [AGENT_OUTPUT]
agent=${1:-agent.jsonl}
initramfs=$HOME/.cache/backproof/blobs/7ebbb2eff398108e2bb7af7c5127bbd16e7268071f9f189ac168b1a74068372e
exec /usr/bin/qemu-system-x86_64 \
  -nodefaults \
  -no-user-config \
  -display none \
  -nic none \
  -no-reboot \
  -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
  -name guest=backproof \
  -machine q35,sata=off,smbus=off,usb=off,vmport=off \
  -accel tcg \
  -cpu max,la57=off,cx16=off \
  -icount shift=4,sleep=off \
  -seed 1 \
  -rtc base=2026-01-01T00:00:00,clock=vm \
  -m 256M \
  -smp 1 \
  -chardev stdio,id=console,signal=on \
  -chardev "file,id=agent,path=$agent" \
  -device isa-serial,chardev=console,index=0 \
  -device isa-serial,chardev=agent,index=1 \
  -kernel $HOME/.cache/backproof/blobs/09e9e434aacf9bdaf393ebad46a50ddb7e1a2018e7ade8e16a146a9b16439f4f \
  -initrd "$initramfs" \
  -append 'console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 panic=-1 oops=panic unknown_nmi_panic reboot=t no_timer_check cryptomgr.notests loglevel=7'
