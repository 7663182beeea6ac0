//! What is made for a resource: pure functions from what the user wrote to Kubernetes objects, one object a file.
//!
//! | file | object |
//! |---|---|
//! | `config`, `files` | ConfigMap `<name>-config` with `valkey.conf`, for each start-up that pods were made for |
//! | `auth` | Secret `<name>-auth` with the password, and `<name>-auth-conf` with what the server reads of it |
//! | `service` | Services `<name>-rw`, `<name>-ro`, `<name>-headless` |
//! | `slice` | the EndpointSlices of the first two, which the operator fills |
//! | `budget` | PodDisruptionBudget `<name>` |
//! | `stateful_set` | StatefulSet `<name>` |
//!
//! `trial` says which directives of the specification may stand in `valkey.conf`.
//!
//! A golden test pins all of them: an upgrade of the operator must not restart a pod.

pub mod auth;
mod budget;
mod config;
pub mod files;
mod live;
pub mod memory;
pub mod names;
mod pod;
mod restart;
mod service;
pub mod slice;
mod stateful_set;
pub mod trial;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Service},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Resource, core::ObjectMeta};

use crate::api::ValkeyReplication;
pub use config::{Config, Place, render, render_at};
pub use files::Files;
pub use names::Names;
pub use restart::CONFIG_ANNOTATION;

/// What the objects depend on besides the resource itself.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The image of the native server, for resources that name none.
    pub server_image: &'a str,
    /// How many pods there should be, which may be more than asked for while those that leave are still needed.
    pub replicas: i32,
    /// The StatefulSet as it stands: its volume claim templates cannot be changed, its image is kept unless another is asked for, and it says
    /// what its servers were told.
    pub live: Option<&'a StatefulSet>,
    /// The files that pods were made for.
    pub kept: &'a Files,
}

/// Why no objects can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The object lacks what the API server gives every object.
    #[error("the resource has no {0}")]
    Incomplete(&'static str),
    /// A value cannot stand in `valkey.conf`.
    #[error("spec.config.{directive} has a value of more than one line; a value is the rest of its directive's line")]
    ManyLines {
        /// Whose value it is.
        directive: String,
    },
    /// A directive that has a field of its own.
    #[error("spec.config.{directive} may not be set: {remedy}")]
    Owned {
        /// The directive.
        directive: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A byte that ends a C string.
    #[error("the password in Secret {secret} holds a zero byte, which no client could send; choose another")]
    ZeroByte {
        /// Where the password is.
        secret: String,
    },
    /// More than a server takes of a client that has not logged in.
    #[error(
        "the password in Secret {secret}, key {key}, has {bytes} bytes; no client could log in with more than {}, choose a shorter one",
        auth::LONGEST
    )]
    LongPassword {
        /// Where the password is.
        secret: String,
        /// The key in it.
        key: String,
        /// How long it is.
        bytes: usize,
    },
    /// An empty password.
    #[error("the password in Secret {secret} is empty; everybody could log in")]
    EmptyPassword {
        /// Where the password is.
        secret: String,
    },
}

/// All that is made for one resource, apart from secrets and EndpointSlices.
#[derive(Clone, Debug)]
pub struct Desired {
    /// `valkey.conf`.
    pub config: ConfigMap,
    /// `<name>-rw`, `<name>-ro`, `<name>-headless`.
    pub services: [Service; 3],
    /// Nothing for a single instance: it would keep its node from being drained.
    pub budget: Option<PodDisruptionBudget>,
    /// The pods.
    pub stateful_set: StatefulSet,
}

/// Builds everything that follows from the resource alone.
///
/// # Errors
/// When the resource asks for what cannot be made; the API server refuses most of that already.
pub fn build(resource: &ValkeyReplication, context: &Context<'_>) -> Result<Desired, Error> {
    let names = Names::of(resource)?;
    let config = config::render(resource)?;
    Ok(Desired {
        stateful_set: stateful_set::build(resource, &names, context, &config)?,
        config: config::build(resource, &names, files::with_kept(&config, context.kept))?,
        services: [
            service::build(resource, &names, service::Kind::ReadWrite)?,
            service::build(resource, &names, service::Kind::ReadOnly)?,
            service::headless(resource, &names)?,
        ],
        budget: budget::build(resource, &names)?,
    })
}

/// Metadata of an object of this resource: its name, the common labels, the owner.
pub(crate) fn metadata(resource: &ValkeyReplication, names: &Names<'_>, name: String) -> Result<ObjectMeta, Error> {
    Ok(ObjectMeta {
        name: Some(name),
        namespace: Some(names.namespace.to_owned()),
        labels: Some(names.labels()),
        owner_references: Some(vec![owner(resource)?]),
        ..ObjectMeta::default()
    })
}

fn owner(resource: &ValkeyReplication) -> Result<OwnerReference, Error> {
    resource.controller_owner_ref(&()).ok_or(Error::Incomplete("uid"))
}
