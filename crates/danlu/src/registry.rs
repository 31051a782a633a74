//! Things by name: Danlu's own types and those that a program registers, so that files and recipes can name them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

/// Makes a thing of its arguments.
pub(crate) type Make<T> = fn(&mut Arguments) -> Result<T>;

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
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.get(class_name).is_some_and(|entry| entry.builtin) {
            return Err(Error::mismatch(
                function,
                format!("a name that no {} of Danlu's own has", self.kind),
                format!("`{class_name}`"),
                "choose another name",
            ));
        }
        let builtin = false;
        entries.insert(class_name.to_owned(), Entry { make, builtin });
        Ok(())
    }

    /// The type of this class name, or of this name in snake case; `package>Name` is a registered one of Keras' files.
    fn find(&self, name: &str) -> Result<Make<T>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let short = name.rsplit('>').next().unwrap_or(name);
        let found = entries.get(short).or_else(|| {
            let mut all = entries.iter();
            all.find_map(|(class, entry)| (snake_case(class) == short).then_some(entry))
        });
        match found {
            Some(entry) => Ok(entry.make),
            None => {
                let names: Vec<String> = entries.keys().map(|class| snake_case(class)).collect();
                let names = names.iter().map(String::as_str);
                Err(Error::unknown(self.kind, name, names))
            }
        }
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
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if entries.get(class).is_some_and(|entry| entry.builtin) {
            return keras_object(self.module, class, config);
        }
        let mut object = keras_object("danlu", class, config);
        object["registered_name"] = format!("danlu>{class}").into();
        object
    }
}
