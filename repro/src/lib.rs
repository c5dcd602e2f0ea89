//! The guest agent's library: the reproducers, and the code that runs them as process 1 of a guest.

pub mod judging;
pub mod modprobe;
pub mod output;
pub mod own_program;
pub mod pid1;
pub mod priority;
pub mod probe;
pub mod registry;
pub mod reproducer;
pub mod side_by_side;
pub mod sut;
pub mod syn_cookie_data_loss;
pub mod task;
pub mod tcp_fragment_stall;
pub mod wire;
pub mod zero_window_user_timeout;
