//! Things by name: Danlu's own types and those that a program registers, so that files and recipes can name them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

/// Makes a thing of its arguments.
pub(crate) type Make<T> = fn(&mut Arguments) -> Result<T>;

/// The class of `package>Class`, as Keras' files name registered types.
pub(crate) fn without_package(name: &str) -> &str {
    name.rsplit('>').next().unwrap_or(name)
}

struct Entry<T> {
    make: Make<T>,
    builtin: bool,
}

/// Types of one kind by their class name.
pub(crate) struct Registry<T> {
    /// What errors call one of them.
    kind: &'static str,
    /// Keras' module of Danlu's own.
    module: &'static str,
    entries: RwLock<BTreeMap<String, Entry<T>>>,
}

impl<T> Registry<T> {
    pub fn new(
        kind: &'static str,
        module: &'static str,
        builtin: impl IntoIterator<Item = (&'static str, Make<T>)>,
    ) -> Registry<T> {
        let entries = builtin.into_iter().map(|(name, make)| {
            let builtin = true;
            (name.to_owned(), Entry { make, builtin })
        });
        Registry {
            kind,
            module,
            entries: RwLock::new(entries.collect()),
        }
    }

    /// Adds a type of a program's own, which may be there already; `function` is what the program called.
    pub fn register(&self, function: &str, class_name: &str, make: Make<T>) -> Result<()> {
        if self.is_builtin(class_name) {
            return Err(self.taken(function, class_name));
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let builtin = false;
        entries.insert(class_name.to_owned(), Entry { make, builtin });
        Ok(())
    }

    /// The error about a name that a program's own type cannot have.
    pub fn taken(&self, function: &str, class_name: &str) -> Error {
        Error::mismatch(
            function,
            format!("a name that none of Danlu's own {}s has", self.kind),
            format!("`{class_name}`"),
            "choose another name",
        )
    }

    /// The class names of all types.
    pub fn names(&self) -> Vec<String> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.keys().cloned().collect()
    }

    /// Whether a class is one of Danlu's own.
    pub fn is_builtin(&self, class_name: &str) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(class_name).is_some_and(|entry| entry.builtin)
    }

    /// What makes the type of this class name, or of the first class that `same` takes for it.
    pub fn get(&self, name: &str, same: impl Fn(&str, &str) -> bool) -> Option<Make<T>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let found = entries.get(name).or_else(|| {
            let mut all = entries.iter();
            all.find_map(|(class, entry)| same(class, name).then_some(entry))
        });
        found.map(|entry| entry.make)
    }

    /// The type of this class name, or of this name in snake case.
    fn find(&self, name: &str) -> Result<Make<T>> {
        let found = self.get(without_package(name), |class, short| {
            snake_case(class) == short
        });
        found.ok_or_else(|| {
            let names: Vec<String> = self.names().iter().map(|class| snake_case(class)).collect();
            let names = names.iter().map(String::as_str);
            Error::unknown(self.kind, name, names)
        })
    }

    /// The thing of this name with its defaults.
    pub fn named(&self, name: &str) -> Result<T> {
        self.made(name, Arguments::new(name, Config::new()))
    }

    fn made(&self, name: &str, mut arguments: Arguments) -> Result<T> {
        let thing = self.find(name)?(&mut arguments)?;
        arguments.finish()?;
        Ok(thing)
    }

    /// As a config holds it: a name, which `named` resolves, or an object with arguments.
    pub fn read(
        &self,
        arguments: &Arguments,
        argument: &str,
        value: &Value,
        named: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        match described(arguments.owner(), argument, value)? {
            Described::Name(name) => named(&name),
            Described::Object(class, config) => match arguments.is_from_file() {
                true => self.made(&class, Arguments::from_file(&class, config)),
                false => self.made(&class, Arguments::new(&class, config)),
            },
        }
    }

    /// As Keras writes it; one of a program's own stands in the package `danlu`.
    pub fn write(&self, class: &str, config: Config) -> Value {
        if self.is_builtin(class) {
            return keras_object(self.module, class, config);
        }
        let mut object = keras_object("danlu", class, config);
        object["registered_name"] = format!("danlu>{class}").into();
        object
    }
}
