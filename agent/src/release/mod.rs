//! Releases and the documents around them: keys, the fleet's policy and census, building, signing and
//! handing over a release.
//!
//! The tour: [`fleet::FleetDirectory`] holds [`keys`] and the [`bundle::Bundle`] of policies and census, made by
//! [`policy`] and [`census`]; [`build::build`] makes a [`directory::ReleaseDirectory`] from files and a
//! [`plan_file`]; [`sign::sign`] adds signatures after [`review::Review`] has shown what they vouch for;
//! [`publish::publish`] hands it to any [`publish::Recipient`].
//!
//! Everything here is offline and blocking, prints nothing, and reads no environment: who calls it decides
//! about screens, threads and sockets. What is written appears whole or not at all. All failures are a
//! [`problem::Problem`].

pub mod build;
pub mod bundle;
pub mod census;
pub mod directory;
pub mod disk;
pub mod files;
pub mod fleet;
pub mod keys;
pub mod nearest;
pub mod plan_file;
pub mod policy;
pub mod problem;
pub mod publish;
pub mod review;
pub mod sign;
pub mod signers;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
