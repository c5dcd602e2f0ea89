//! Makes the initramfs that a guest boots into: the agent, its plan and the modules it needs.
