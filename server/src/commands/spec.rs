//! What a command is: the row that its group's file holds, from which the dispatcher, COMMAND and ACL are derived.

use bitflags::bitflags;

use super::context::Ctx;
use super::error::CommandError;
use super::key_use::KeyUse;
use crate::client::pubsub::Kind;
use crate::resp::{Argv, ReplyBuf};
use crate::scripting::flags::ScriptFlags;
use crate::server::Server;

/// The function of a command. What it returns as an error is the reply.
pub type Handler = fn(&mut Ctx<'_>) -> Result<(), CommandError>;

bitflags! {
    /// What the dispatcher and clients need to know of a command.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// May change data.
        const WRITE = 1;
        /// Never changes data.
        const READONLY = 1 << 1;
        /// May use more memory: refused beyond `maxmemory`.
        const DENYOOM = 1 << 2;
        /// For administrators.
        const ADMIN = 1 << 3;
        /// Pub/Sub.
        const PUBSUB = 1 << 4;
        /// Not from scripts.
        const NOSCRIPT = 1 << 5;
        /// May block its client.
        const BLOCKING = 1 << 6;
        /// Works while the data set is being loaded.
        const LOADING = 1 << 7;
        /// Works on a replica with stale data.
        const STALE = 1 << 8;
        /// Not shown by MONITOR.
        const SKIP_MONITOR = 1 << 9;
        /// Not in the slow log.
        const SKIP_COMMANDLOG = 1 << 10;
        /// Constant or logarithmic time.
        const FAST = 1 << 11;
        /// Works before a password was given.
        const NO_AUTH = 1 << 12;
        /// May reach replicas even when it changed nothing.
        const MAY_REPLICATE = 1 << 13;
        /// Not inside MULTI.
        const NO_MULTI = 1 << 14;
        /// Works during MULTI, WATCH or a subscription instead of being queued.
        const NOT_QUEUED = 1 << 15;
        /// Key positions can't be told from the row alone.
        const MOVABLE_KEYS = 1 << 16;
        /// Protected by `enable-debug-command` and the like.
        const PROTECTED = 1 << 17;
        /// Works with asynchronous loading of a replica's data set.
        const NO_ASYNC_LOADING = 1 << 18;
        /// Only a sentinel or internal use: hidden from COMMAND.
        const INTERNAL = 1 << 19;
        /// Is served while a script keeps the server busy.
        const ALLOW_BUSY = 1 << 20;
        /// Comes upon keys that it was not given (SCAN, RANDOMKEY): those it deletes for having expired are propagated one by one.
        const TOUCHES_ARBITRARY_KEYS = 1 << 21;
        /// May be called without any of the keys that it can have.
        const NO_MANDATORY_KEYS = 1 << 26;
        /// In cluster mode it would be taken where a slot is on its way.
        const ASKING = 1 << 27;
    }
}

bitflags! {
    /// ACL categories, `@name` to a user.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Category: u32 {
        #[allow(missing_docs)] const KEYSPACE = 1;
        #[allow(missing_docs)] const READ = 1 << 1;
        #[allow(missing_docs)] const WRITE = 1 << 2;
        #[allow(missing_docs)] const SET = 1 << 3;
        #[allow(missing_docs)] const SORTEDSET = 1 << 4;
        #[allow(missing_docs)] const LIST = 1 << 5;
        #[allow(missing_docs)] const HASH = 1 << 6;
        #[allow(missing_docs)] const STRING = 1 << 7;
        #[allow(missing_docs)] const BITMAP = 1 << 8;
        #[allow(missing_docs)] const HYPERLOGLOG = 1 << 9;
        #[allow(missing_docs)] const GEO = 1 << 10;
        #[allow(missing_docs)] const STREAM = 1 << 11;
        #[allow(missing_docs)] const PUBSUB = 1 << 12;
        #[allow(missing_docs)] const ADMIN = 1 << 13;
        #[allow(missing_docs)] const FAST = 1 << 14;
        #[allow(missing_docs)] const SLOW = 1 << 15;
        #[allow(missing_docs)] const BLOCKING = 1 << 16;
        #[allow(missing_docs)] const DANGEROUS = 1 << 17;
        #[allow(missing_docs)] const CONNECTION = 1 << 18;
        #[allow(missing_docs)] const TRANSACTION = 1 << 19;
        #[allow(missing_docs)] const SCRIPTING = 1 << 20;
    }
}

/// The documentation group, which also gives the data type's ACL category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    HyperLogLog,
    Geo,
    Stream,
    Bitmap,
    Cluster,
}

impl Group {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
        }
    }

    fn category(self) -> Category {
        match self {
            Group::Generic => Category::KEYSPACE,
            Group::String => Category::STRING,
            Group::List => Category::LIST,
            Group::Set => Category::SET,
            Group::SortedSet => Category::SORTEDSET,
            Group::Hash => Category::HASH,
            // Those that are have the flag.
            Group::PubSub => Category::empty(),
            Group::Transactions => Category::TRANSACTION,
            Group::Connection => Category::CONNECTION,
            Group::Server | Group::Cluster => Category::empty(),
            Group::Scripting => Category::SCRIPTING,
            Group::HyperLogLog => Category::HYPERLOGLOG,
            Group::Geo => Category::GEO,
            Group::Stream => Category::STREAM,
            Group::Bitmap => Category::BITMAP,
        }
    }
}

/// Where a command's keys stand among its arguments (0 is the command's name, for a subcommand the container's).
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// It has none.
    None,
    /// From `first` to `last` (negative: from the end, -1 the last), every `step`.
    Range {
        /// Index of the first key.
        first: i16,
        /// Index of the last key.
        last: i16,
        /// Distance between keys.
        step: i16,
    },
    /// A count at this index, and the keys after it.
    Counted(usize),
    /// Told by a function, which returns their indexes.
    Dynamic(fn(Argv<'_>) -> Vec<usize>),
    /// The same, where the first key usually is at this index.
    DynamicFrom(i16, fn(Argv<'_>) -> Vec<usize>),
}

impl Keys {
    /// One key at index 1.
    pub const FIRST: Keys = Keys::Range { first: 1, last: 1, step: 1 };
    /// All arguments are keys.
    pub const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };

    /// Two keys at indexes 1 and 2.
    pub const FIRST_TWO: Keys = Keys::Range { first: 1, last: 2, step: 1 };

    /// First and last index and distance, as COMMAND INFO tells them; zeros where they are told by the arguments alone.
    pub fn range(self) -> (i64, i64, i64) {
        match self {
            Keys::Range { first, last, step } => (first.into(), last.into(), step.into()),
            Keys::DynamicFrom(first, _) => (first.into(), first.into(), 1),
            Keys::None | Keys::Counted(_) | Keys::Dynamic(_) => (0, 0, 0),
        }
    }

    /// Where the first key is, or most likely is.
    pub fn first(self) -> usize {
        match self {
            Keys::Range { first, .. } | Keys::DynamicFrom(first, _) => usize::try_from(first).unwrap_or(1),
            Keys::Counted(at) => at + 1,
            Keys::None | Keys::Dynamic(_) => 1,
        }
    }

    /// The indexes of the keys in `argv`; empty when the arguments don't fit.
    pub fn indexes(self, argv: Argv<'_>) -> Vec<usize> {
        let len = argv.len();
        match self {
            Keys::None => Vec::new(),
            Keys::Range { first, last, step } => {
                let last = if last < 0 { len as i64 + i64::from(last) } else { i64::from(last) };
                let first = first as usize;
                if last < first as i64 || last >= len as i64 {
                    return Vec::new();
                }
                (first..=last as usize).step_by(step.max(1) as usize).collect()
            }
            Keys::Counted(at) => {
                let n = leading_count(argv.get(at));
                if n == 0 || n > len.saturating_sub(at + 1) { Vec::new() } else { (at + 1..=at + n).collect() }
            }
            Keys::Dynamic(f) | Keys::DynamicFrom(_, f) => f(argv),
        }
    }
}

/// The number that a text begins with, whatever follows: what may be keys is looked at before the command refuses its count.
fn leading_count(text: &[u8]) -> usize {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |n: usize, digit| n.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
}

/// The databases that a command works on, for users who may not use all of them.
#[derive(Clone, Copy, Debug)]
pub enum Databases {
    /// The selected one, if it works on data at all.
    Selected,
    /// Those whose numbers are the arguments at these indexes.
    Named(&'static [usize]),
    /// The selected one, and those whose numbers are the arguments at the indexes that the function returns.
    SelectedAnd(fn(Argv<'_>) -> Vec<usize>),
    /// All of them.
    All,
}

/// The channels among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// What they are.
    pub kind: Kind,
    /// Whether all arguments are; else it is the first.
    pub all: bool,
}

impl Channels {
    /// Their indexes among `argc` arguments.
    pub fn indexes(self, argc: usize) -> std::ops::Range<usize> {
        1..if self.all { argc } else { argc.min(2) }
    }
}

/// A command's row. Built with the `const` methods below; see any group's file for examples.
#[derive(Debug)]
pub struct Command {
    /// Lower-case name; a subcommand's own.
    pub name: &'static str,
    /// Exact number of arguments with the name (and the container's), or, negative, the least.
    pub arity: i16,
    /// See [`Flags`].
    pub flags: Flags,
    /// ACL categories beyond those that follow from flags and group.
    pub extra_categories: Category,
    /// See [`Keys`].
    pub keys: Keys,
    /// What it does with its keys, in their order; the last one also holds for those that follow. Empty: what its flags tell.
    pub uses: &'static [KeyUse],
    /// What it does with its keys, where the arguments tell.
    pub use_by_arguments: Option<fn(Argv<'_>) -> KeyUse>,
    /// See [`Databases`].
    pub databases: Databases,
    /// The channels that it publishes to or subscribes to.
    pub channels: Option<Channels>,
    /// Whether the group gives an ACL category.
    pub group_is_category: bool,
    /// See [`Group`].
    pub group: Group,
    /// The Valkey or Redis version that brought it.
    pub since: &'static str,
    /// One sentence for COMMAND DOCS and HELP.
    pub summary: &'static str,
    /// A subcommand's arguments, as HELP shows them after its name.
    pub usage: &'static str,
    /// Its function.
    pub handler: Handler,
    /// Subcommands, when this is a container.
    pub subcommands: &'static [Command],
    /// What a client that waited in vain is answered.
    pub timeout_reply: fn(&mut ReplyBuf),
    /// For commands that run a script: what the script that the arguments name says of itself, if it is known.
    pub script_flags: Option<ScriptFlagsOf>,
}

/// See [`Command::script_flags`].
pub type ScriptFlagsOf = fn(&Server, Argv<'_>) -> Option<ScriptFlags>;

impl Command {
    /// A row with no keys and no flags.
    pub const fn new(name: &'static str, arity: i16, group: Group, handler: Handler) -> Self {
        Command {
            name,
            arity,
            flags: Flags::empty(),
            extra_categories: Category::empty(),
            keys: Keys::None,
            uses: &[],
            use_by_arguments: None,
            databases: Databases::Selected,
            channels: None,
            group_is_category: true,
            group,
            since: "1.0.0",
            summary: "",
            usage: "",
            handler,
            subcommands: &[],
            timeout_reply: ReplyBuf::null_array,
            script_flags: None,
        }
    }

    /// Sets the flags.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the key positions.
    pub const fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Sets what it does with its keys, where its flags do not tell; see [`Command::uses`].
    pub const fn uses(mut self, uses: &'static [KeyUse]) -> Self {
        self.uses = uses;
        self
    }

    /// Sets how the arguments tell what it does with its keys.
    pub const fn use_by_arguments(mut self, uses: fn(Argv<'_>) -> KeyUse) -> Self {
        self.use_by_arguments = Some(uses);
        self
    }

    /// Sets the databases that it works on.
    pub const fn databases(mut self, databases: Databases) -> Self {
        self.databases = databases;
        self
    }

    /// Sets the channels that it publishes or subscribes to: the first argument, or all of them.
    pub const fn channels(mut self, kind: Kind, all: bool) -> Self {
        self.channels = Some(Channels { kind, all });
        self
    }

    /// Sets the ACL categories that are not told by its flags, in place of its group's.
    pub const fn acl_instead_of_group(mut self, categories: Category) -> Self {
        self.group_is_category = false;
        self.acl(categories)
    }

    /// Adds ACL categories.
    pub const fn acl(mut self, categories: Category) -> Self {
        self.extra_categories = categories;
        self
    }

    /// Sets version and summary.
    pub const fn doc(mut self, since: &'static str, summary: &'static str) -> Self {
        self.since = since;
        self.summary = summary;
        self
    }

    /// Sets how HELP shows a subcommand's arguments.
    pub const fn usage(mut self, usage: &'static str) -> Self {
        self.usage = usage;
        self
    }

    /// Sets what a client that waited in vain is answered, where that is not a null array.
    pub const fn timeout_reply(mut self, reply: fn(&mut ReplyBuf)) -> Self {
        self.timeout_reply = reply;
        self
    }

    /// Says how the flags of the script that it runs are told.
    pub const fn runs_script(mut self, flags: ScriptFlagsOf) -> Self {
        self.script_flags = Some(flags);
        self
    }

    /// Makes it a container.
    pub const fn subcommands(mut self, subcommands: &'static [Command]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// What it does with its keys, in their order; the last one also holds for those that follow. Never empty.
    pub fn key_uses(&self) -> &'static [KeyUse] {
        if !self.uses.is_empty() {
            self.uses
        } else if self.group == Group::PubSub {
            &[KeyUse::NOT_KEY]
        } else if self.flags.contains(Flags::READONLY) {
            &[KeyUse::READS]
        } else {
            // Whoever has not said what it does may do anything.
            &[KeyUse::CHANGES]
        }
    }

    /// Whether it has arguments that are keys, and do not just look like some.
    pub fn is_keyed(&self) -> bool {
        !matches!(self.keys, Keys::None) && !self.key_uses()[0].contains(KeyUse::NOT_KEY)
    }

    /// The indexes of the keys in `argv`, each with what is done with it.
    pub fn used_keys(&self, argv: Argv<'_>) -> impl Iterator<Item = (usize, KeyUse)> {
        let told = self.use_by_arguments.map(|tell| tell(argv));
        let uses = self.key_uses();
        let of = move |nth: usize| told.unwrap_or(uses[nth.min(uses.len() - 1)] - KeyUse::VARIABLE);
        self.keys.indexes(argv).into_iter().enumerate().map(move |(nth, index)| (index, of(nth)))
    }

    /// All its ACL categories.
    pub fn categories(&self) -> Category {
        let f = self.flags;
        let mut c = self.extra_categories;
        // A container is not called: only its subcommands do something.
        if self.group_is_category && self.subcommands.is_empty() {
            c |= self.group.category();
        }
        for (flag, category) in [
            (Flags::WRITE, Category::WRITE),
            (Flags::ADMIN, Category::ADMIN | Category::DANGEROUS),
            (Flags::PUBSUB, Category::PUBSUB),
            (Flags::BLOCKING, Category::BLOCKING),
        ] {
            if f.contains(flag) {
                c |= category;
            }
        }
        if f.contains(Flags::READONLY) && self.group != Group::Scripting {
            c |= Category::READ;
        }
        c | if f.contains(Flags::FAST) { Category::FAST } else { Category::SLOW }
    }

    /// Whether `n` arguments (with the name) are a legal number.
    pub fn accepts(&self, n: usize) -> bool {
        let n = n as i64;
        let arity = i64::from(self.arity);
        if arity >= 0 { n == arity } else { n >= -arity }
    }
}
