//! The supervisor of a component's process, and of the sockets it serves on.
//!
//! One door: [`Supervisor`]. It binds a component's listening sockets once and keeps them for the agent's
//! life; each version is started with the same sockets (`LISTEN_FDS`, `LISTEN_FDNAMES` and `LISTEN_PID` as
//! in sd_listen_fds(3)). A switch starts the new version beside the old one, waits until it is ready, and
//! only then asks the old one to finish: no connection is refused, and those that wait in the queue belong
//! to the socket, not to a version.
//!
//! What holds:
//! - **A failed switch changes nothing.** The version that was serving goes on; the error says why the new
//!   one did not come up, with its exit and its last lines.
//! - **No signal reaches a stranger.** Children are named by a pidfd and stay unreaped until their group is
//!   dealt with; processes of an earlier agent are recognised by process id, start time and boot.
//! - **The agent's death is not the service's.** A service outlives its agent, with its output going
//!   straight to a file. The next agent finds it by its record, takes the very sockets from it where the
//!   kernel allows (same user, no stricter ptrace rule), and retires it once a new process is ready; where
//!   it may not, it ends the orphan with grace first and then binds.
//! - **Everything ends.** Grace, then SIGKILL for the whole process group; a process that left its group
//!   (setsid) is out of reach and its own release's fault.
//!
//! Deliberately absent: weighted traffic, cgroups and limits, several instances of one component, users
//! other than the agent's own, and any opinion on health: that is the `health` room's.

mod actor;
mod backoff;
mod environment;
mod error;
mod group;
mod orphan;
mod output;
mod owner;
mod proc;
mod process;
mod readiness;
mod record;
mod retiring;
mod settings;
mod shim;
mod sockets;
mod status;
mod supervisor;

pub(crate) use environment::base_environment;
pub use error::ServiceError;
pub(crate) use group::ProcessGroup;
pub use proc::resident_bytes;
pub use settings::{LISTEN_MAX, Readiness, ServiceSettings, Succession};
pub use shim::{SHIM_COMMAND, exec_shim};
pub use status::{ServiceState, ServiceStatus};
pub use supervisor::{Supervisor, Switched};
