//! Groups: symbol tables (sections III.A, III.C, III.D) and link messages (section IV.A.2.g).

use std::collections::BTreeMap;
use std::rc::Rc;

use super::header::Object;
use super::source::{Fields, Links};
use super::{UNDEFINED, message};
use crate::files::error::Problem;

/// B-trees of groups are a few levels deep; each level holds 32 times the one below.
const DEEPEST_TREE: u8 = 16;

impl<'a> Object<'a> {
    /// The object at a path below this group, or `None` where there is none.
    ///
    /// # Errors
    /// Something on the way is damaged, or no group.
    pub(in crate::files) fn find(&self, path: &str) -> Result<Option<Object<'a>>, Problem> {
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut links = self.links()?;
        let mut path = self.path.clone();
        while let Some(name) = names.next() {
            let Some(&address) = links.get(name) else {
                return Ok(None);
            };
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
            self.reader.spend_text(path.len())?;
            let known = self.reader.groups.borrow().get(&address).map(Rc::clone);
            links = match known {
                Some(known) if names.peek().is_some() => known,
                _ => {
                    let object = Object::read(self.reader, address, path.clone())?;
                    if names.peek().is_none() {
                        return Ok(Some(object));
                    }
                    object.links()?
                }
            };
        }
        Ok(None)
    }

    /// The names of everything in this group, sorted.
    ///
    /// # Errors
    /// The group is damaged, or this is an array.
    pub(in crate::files) fn names(&self) -> Result<Vec<String>, Problem> {
        let links = self.links()?;
        for name in links.keys() {
            self.reader.spend_text(name.len())?;
        }
        Ok(links.keys().cloned().collect())
    }

    fn links(&self) -> Result<Links, Problem> {
        if let Some(links) = self.reader.groups.borrow().get(&self.address) {
            return Ok(Rc::clone(links));
        }
        let mut links = BTreeMap::new();
        if let Some(table) = self.only(message::SYMBOL_TABLE) {
            self.symbol_table(table, &mut links)?;
        } else if self.is_dataset() {
            return Err(Problem::damaged(
                format!("/{}", self.path),
                "a group",
                "an array",
            ));
        }
        for link in self.all(message::LINK) {
            self.link(link, &mut links)?;
        }
        if let Some(info) = self.only(message::LINK_INFO) {
            let what = format!("the links of /{}", self.path);
            let mut fields = Fields::new(&what, info);
            fields.skip(1)?;
            if fields.u8()? & 1 != 0 {
                fields.skip(8)?;
            }
            if fields.u64()? != UNDEFINED {
                return Err(Problem::unsupported(
                    format!("{what} (stored as a fractal heap)"),
                    "write it without libver='latest', as Keras does",
                ));
            }
        }
        let links: Links = Rc::new(links);
        self.reader
            .groups
            .borrow_mut()
            .insert(self.address, Rc::clone(&links));
        Ok(links)
    }

    fn link(&self, data: &[u8], links: &mut BTreeMap<String, u64>) -> Result<(), Problem> {
        let what = format!("a link in /{}", self.path);
        let mut fields = Fields::new(&what, data);
        let version = fields.u8()?;
        if version != 1 {
            return Err(Problem::damaged(&what, "version 1", version));
        }
        let flags = fields.u8()?;
        let kind = if flags & 8 != 0 { fields.u8()? } else { 0 };
        if flags & 4 != 0 {
            fields.skip(8)?;
        }
        if flags & 0x10 != 0 {
            fields.skip(1)?;
        }
        let len = fields.sized(flags)?;
        let name = self.name(
            &what,
            fields.take(usize::try_from(len).unwrap_or(usize::MAX))?,
        )?;
        // Soft and external links lead out of what we trust; Keras follows none either.
        if kind == 0 {
            links.insert(name, fields.u64()?);
        }
        Ok(())
    }

    fn name(&self, what: &str, bytes: &[u8]) -> Result<String, Problem> {
        self.reader.spend_text(bytes.len())?;
        match std::str::from_utf8(bytes) {
            Ok(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(Problem::damaged(
                what,
                "a name in UTF-8",
                format_args!("\"{}\"", bytes.escape_ascii()),
            )),
        }
    }

    fn symbol_table(&self, data: &[u8], links: &mut BTreeMap<String, u64>) -> Result<(), Problem> {
        let what = format!("the symbol table of /{}", self.path);
        let mut fields = Fields::new(&what, data);
        let (tree, heap) = (fields.u64()?, fields.u64()?);
        let header = self.reader.metadata(&what, heap, 32)?;
        let mut fields = Fields::new(&what, &header);
        fields.signature(b"HEAP")?;
        fields.skip(4)?;
        let size = fields.u64()?;
        fields.skip(8)?;
        let names = self.reader.metadata(&what, fields.u64()?, size)?;
        self.tree_node(&what, tree, None, &names, links)
    }

    /// A node of the B-tree over a group's names; `level` is what it has to be.
    fn tree_node(
        &self,
        what: &str,
        address: u64,
        level: Option<u8>,
        names: &[u8],
        links: &mut BTreeMap<String, u64>,
    ) -> Result<(), Problem> {
        let head = self.reader.metadata(what, address, 24)?;
        let mut fields = Fields::new(what, &head);
        fields.signature(b"TREE")?;
        let kind = fields.u8()?;
        let received = fields.u8()?;
        if kind != 0 || received > DEEPEST_TREE || level.is_some_and(|level| level != received) {
            return Err(Problem::damaged(
                what,
                format!("a node of a group's tree at level {}", level.unwrap_or(0)),
                format_args!("type {kind}, level {received}"),
            ));
        }
        let count = u64::from(fields.u16()?);
        // A key before every child and one after the last.
        let body = self
            .reader
            .metadata(what, address.saturating_add(24), count * 16 + 8)?;
        let mut fields = Fields::new(what, &body);
        for _ in 0..count {
            fields.skip(8)?;
            let child = fields.u64()?;
            match received.checked_sub(1) {
                Some(below) => self.tree_node(what, child, Some(below), names, links)?,
                None => self.symbols(what, child, names, links)?,
            }
        }
        Ok(())
    }

    fn symbols(
        &self,
        what: &str,
        address: u64,
        names: &[u8],
        links: &mut BTreeMap<String, u64>,
    ) -> Result<(), Problem> {
        let head = self.reader.metadata(what, address, 8)?;
        let mut fields = Fields::new(what, &head);
        fields.signature(b"SNOD")?;
        fields.skip(2)?;
        let count = u64::from(fields.u16()?);
        let entries = self
            .reader
            .metadata(what, address.saturating_add(8), count * 40)?;
        let mut fields = Fields::new(what, &entries);
        for _ in 0..count {
            let name_at = fields.u64()?;
            let header = fields.u64()?;
            let kind = fields.u32()?;
            fields.skip(20)?;
            let name = usize::try_from(name_at)
                .ok()
                .and_then(|at| names.get(at..))
                .and_then(|rest| Some(&rest[..rest.iter().position(|&byte| byte == 0)?]))
                .ok_or_else(|| Problem::damaged(what, "a name in its heap", name_at))?;
            let name = self.name(what, name)?;
            if kind != 2 {
                links.insert(name, header);
            }
        }
        Ok(())
    }
}
