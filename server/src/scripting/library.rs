//! Libraries of functions: FUNCTION LOAD's, and those that come with a data set.

use super::api::{BAD_FUNCTION_NAME, FUNCTION_EXISTS};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::call::{Call, Load, Work};
use super::flags::{self, ScriptFlags};
use super::stack::{Kind as ValueKind, Stack};
use super::vm::{Handle, Kind};
use super::{lend, text, to_reply};
use crate::resp::OwnedArgv;
use crate::server::Server;

/// The refusal of a name.
pub const BAD_NAME: &str =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// How long a library may take to register its functions.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Whether a library or a function may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// A function. Its name is found in any case.
#[derive(Debug)]
pub struct Registered<F> {
    /// Its name, as the library wrote it.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// Its flags.
    pub flags: ScriptFlags,
    /// Itself.
    pub callback: F,
}

/// A library.
#[derive(Debug)]
pub struct Library<F> {
    /// Its name.
    pub name: Vec<u8>,
    /// The whole text.
    pub code: Box<[u8]>,
    /// Its functions.
    pub functions: Vec<Registered<F>>,
}

/// All libraries. No two have functions of one name.
#[derive(Debug)]
pub struct Libraries<F> {
    by_name: BTreeMap<Vec<u8>, Library<F>>,
    /// For a function's name in lower case: its library, and its place in there.
    functions: HashMap<Vec<u8>, (Vec<u8>, usize)>,
    memory: usize,
}

impl<F> Default for Libraries<F> {
    fn default() -> Self {
        Libraries { by_name: BTreeMap::new(), functions: HashMap::new(), memory: 0 }
    }
}

impl<F> Libraries<F> {
    /// The function of a name, in any case.
    pub fn function(&self, name: &[u8]) -> Option<&Registered<F>> {
        let (library, place) = match self.functions.get(name) {
            Some(found) => found,
            None => self.functions.get(&name.to_ascii_lowercase())?,
        };
        self.by_name.get(library)?.functions.get(*place)
    }

    /// All libraries, by their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Library<F>> {
        self.by_name.values()
    }

    /// Whether there is a library of that name.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    /// How many libraries there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many functions there are in all of them.
    pub fn functions(&self) -> usize {
        self.functions.len()
    }

    /// Bytes of the libraries' texts and of what is known of their functions.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Takes a library in, in the place of the one of its name if that is to be replaced.
    ///
    /// # Errors
    /// When that would leave two of one name. Everything is then as before.
    pub fn insert(&mut self, library: Library<F>, replace: bool) -> Result<(), String> {
        let mut new = Libraries::default();
        new.link(library);
        self.join(new, replace).map_err(|clash| match clash {
            Clash::Library(name) => format!("Library '{name}' already exists"),
            Clash::Function(name) => format!("Function {name} already exists"),
        })
    }

    /// Takes all libraries of `others` in.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn join(&mut self, others: Libraries<F>, replace: bool) -> Result<(), Clash> {
        if let Some(name) = others.by_name.keys().find(|name| !replace && self.contains(name)) {
            return Err(Clash::Library(String::from_utf8_lossy(name).into_owned()));
        }
        let clash = others.functions.keys().find(|name| {
            let other = self.functions.get(*name).map(|(library, _)| library);
            other.is_some_and(|library| !others.contains(library))
        });
        if let Some(function) = clash.and_then(|name| others.function(name)) {
            return Err(Clash::Function(String::from_utf8_lossy(&function.name).into_owned()));
        }
        // All of the old ones first: their functions may have changed places.
        for name in others.by_name.keys() {
            self.remove(name);
        }
        others.by_name.into_values().for_each(|library| self.link(library));
        Ok(())
    }

    /// Takes a library out.
    pub fn remove(&mut self, name: &[u8]) -> Option<Library<F>> {
        let library = self.by_name.remove(name)?;
        self.memory -= size(&library);
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        Some(library)
    }

    fn link(&mut self, library: Library<F>) {
        self.memory += size(&library);
        for (place, function) in library.functions.iter().enumerate() {
            self.functions.insert(function.name.to_ascii_lowercase(), (library.name.clone(), place));
        }
        self.by_name.insert(library.name.clone(), library);
    }
}

fn size<F>(library: &Library<F>) -> usize {
    let functions = library.functions.iter().map(|f| {
        size_of::<Registered<F>>() + 2 * f.name.len() + library.name.len() + f.description.as_ref().map_or(0, Vec::len)
    });
    size_of::<Library<F>>() + 2 * library.name.len() + library.code.len() + functions.sum::<usize>()
}

/// Why libraries do not go together.
#[derive(Debug, PartialEq, Eq)]
pub enum Clash {
    /// There is a library of that name.
    Library(String),
    /// There is a function of that name in another library.
    Function(String),
}

impl Server {
    /// Compiles a library and has it register its functions. `patience`: how long that may take, if there is a limit.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile_library(&mut self, code: &[u8], patience: Option<Duration>) -> Result<Library<Handle>, String> {
        let head = flags::of_library(code)?;
        if !is_name(&head.name) {
            return Err(BAD_NAME.to_owned());
        }
        if !head.engine.eq_ignore_ascii_case(b"lua") {
            return Err(format!("Engine '{}' not found", String::from_utf8_lossy(&head.engine)));
        }
        let insecure = self.config.lua_enable_insecure_api;
        let vm =
            self.scripting.vm(Kind::Functions, insecure).map_err(|e| String::from_utf8_lossy(&e.0).into_owned())?;
        let function = vm.compile_library(&code[head.start..]);
        let function = function.map_err(|e| format!("Error compiling function: {}", text::of(&e)))?;
        let memory = |e: mlua::Error| format!("Error registering functions: {}", text::of(&e));
        vm.set_loading(true).map_err(memory)?;
        let function = vm.keep(function).map_err(memory)?;
        let program = vm.program(&function, Kind::Functions);
        let load = Load { deadline: patience.map(|patience| Instant::now() + patience), functions: Vec::new() };
        let mut call = Call { server: self, work: Work::Load(load) };
        let mut failure = None;
        let mut finish = |stack: Stack<'_>, succeeded: bool| {
            if !succeeded {
                let error =
                    (stack.kind(-1) == ValueKind::Table).then(|| to_reply::error_of(stack, stack.top())).flatten();
                failure = Some(error.map_or_else(|| b"ERR unknown error".to_vec(), |error| error.text.to_vec()));
            }
        };
        let none = OwnedArgv::new([]);
        let outcome = lend::lend(&mut call, || program.run(none.argv(), none.argv(), &mut finish));
        let Work::Load(Load { functions, .. }) = call.work else { return Err(BAD_NAME.to_owned()) };
        self.scripting.vm(Kind::Functions, insecure).map_or(Ok(()), |vm| vm.set_loading(false)).map_err(memory)?;
        outcome.map_err(|why| format!("Error registering functions: {why}"))?;
        if let Some(why) = failure {
            // These two are told as they are.
            let own = [BAD_FUNCTION_NAME, FUNCTION_EXISTS].into_iter();
            let bare = why.strip_prefix(b"ERR ").and_then(|why| own.clone().find(|own| own.as_bytes() == why));
            return Err(bare.map_or_else(
                || format!("Error registering functions: {}", String::from_utf8_lossy(&why)),
                str::to_owned,
            ));
        }
        if functions.is_empty() {
            return Err("No functions registered".to_owned());
        }
        let functions = functions.into_iter().map(|f| Registered {
            name: f.name,
            description: f.description,
            flags: f.flags,
            callback: f.callback,
        });
        Ok(Library { name: head.name, code: code.into(), functions: functions.collect() })
    }

    /// Whether a library that stands in a data set could be taken in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_library(&mut self, code: &[u8]) -> Result<(), String> {
        self.compile_library(code, None).map(drop)
    }

    /// Takes in a library that stands in a data set.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load_stored_library(&mut self, code: &[u8], replace: bool) -> Result<(), String> {
        let library = self.compile_library(code, None)?;
        self.scripting.libraries.insert(library, replace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Library<()> {
        let function = |name: &&str| Registered {
            name: name.as_bytes().to_vec(),
            description: None,
            flags: ScriptFlags::empty(),
            callback: (),
        };
        Library {
            name: name.as_bytes().to_vec(),
            code: b"code".as_slice().into(),
            functions: functions.iter().map(function).collect(),
        }
    }

    #[test]
    fn a_function_is_found_in_any_case_and_is_gone_with_its_library() {
        let mut all = Libraries::default();
        all.insert(library("lib", &["Hello", "bye"]), false).unwrap();
        assert!(all.function(b"hELLO").is_some());
        assert_eq!((all.len(), all.functions()), (1, 2));
        assert!(all.remove(b"lib").is_some());
        assert!(all.function(b"hello").is_none());
        assert_eq!((all.functions(), all.memory()), (0, 0));
    }

    #[test]
    fn a_library_is_replaced_only_if_that_was_asked_for() {
        let mut all = Libraries::default();
        all.insert(library("lib", &["a"]), false).unwrap();
        assert_eq!(all.insert(library("lib", &["b"]), false).unwrap_err(), "Library 'lib' already exists");
        all.insert(library("lib", &["b"]), true).unwrap();
        assert!(all.function(b"a").is_none() && all.function(b"b").is_some());
    }

    #[test]
    fn two_libraries_never_have_a_function_of_one_name() {
        let mut all = Libraries::default();
        all.insert(library("one", &["a"]), false).unwrap();
        all.insert(library("two", &["b"]), false).unwrap();
        assert_eq!(all.insert(library("two", &["A"]), true).unwrap_err(), "Function A already exists");
        assert!(all.function(b"b").is_some(), "the old library stays");
    }

    #[test]
    fn libraries_that_change_functions_between_them_are_replaced_together() {
        let mut all = Libraries::default();
        all.insert(library("one", &["a"]), false).unwrap();
        all.insert(library("two", &["b"]), false).unwrap();
        let mut new = Libraries::default();
        new.insert(library("one", &["b"]), false).unwrap();
        new.insert(library("two", &["a"]), false).unwrap();
        all.join(new, true).unwrap();
        assert_eq!((all.len(), all.functions()), (2, 2));
        assert!(all.function(b"a").is_some() && all.function(b"b").is_some());
    }
}
