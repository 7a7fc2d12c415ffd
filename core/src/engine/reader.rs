//! Reads of committed state, bound to the project and the moment of one call.

use super::aggregate::{Aggregate, decode};
use super::context::Context;
use super::crm::Core;
use super::work::{is_system, not_found};
use crate::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Timestamp};
use crate::storage::{Fields, Filter, Holder, KeyRef, Page, PageRequest, Scope, SearchHit, Snapshot, Storage};
use crate::tenancy::access::Known;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

pub struct Reader<'e> {
    core: &'e Core,
    context: Arc<Context>,
    project: ProjectId,
    now: Timestamp,
    known: Known,
    /// What this call has read of that which nearly every call reads.
    seen: Mutex<Seen>,
}

/// States with the schema they were written in.
type Seen = BTreeMap<(ProjectId, Kind, Uuid), (Arc<dyn Any + Send + Sync>, u32)>;

impl<'e> Reader<'e> {
    pub(crate) fn new(core: &'e Core, context: Arc<Context>, now: Timestamp) -> Self {
        let project = context.project.unwrap_or(ProjectId::SYSTEM);
        Reader { core, context, project, now, known: Known::default(), seen: Mutex::default() }
    }

    pub fn storage(&self) -> &'e dyn Storage {
        &*self.core.storage
    }

    pub fn core(&self) -> &'e Core {
        self.core
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// What deciding about access has looked up already.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    pub(crate) fn enter_project(&mut self, project: ProjectId) {
        self.project = project;
    }

    /// Where snapshots of a kind are looked up in this call.
    pub fn scope_of(&self, kind: Kind) -> Scope {
        Scope::Project(if is_system(kind) { ProjectId::SYSTEM } else { self.project })
    }

    /// The state of an aggregate that exists and is not hidden.
    pub async fn get<A: Aggregate>(&self, id: A::Id) -> Result<A> {
        self.find_any(id).await?.filter(|state: &A| !state.is_hidden()).ok_or_else(|| not_found::<A>(id))
    }

    /// The state of an aggregate, hidden or not.
    pub async fn find_any<A: Aggregate>(&self, id: A::Id) -> Result<Option<A>> {
        Ok(self.find_shared::<A>(id).await?.map(Arc::unwrap_or_clone))
    }

    /// As [`find_any`](Self::find_any), for whoever only looks at the state.
    pub async fn find_shared<A: Aggregate>(&self, id: A::Id) -> Result<Option<Arc<A>>> {
        Ok(self.find_to_change(id).await?.map(|(state, _)| state))
    }

    /// As [`find_shared`](Self::find_shared), with the schema that the state was written in.
    pub(crate) async fn find_to_change<A: Aggregate>(&self, id: A::Id) -> Result<Option<(Arc<A>, u32)>> {
        let at = if is_system(A::KIND) { ProjectId::SYSTEM } else { self.project };
        self.read_in(at, id).await
    }

    /// As [`find_shared`](Self::find_shared), in a named project or the system log.
    pub(crate) async fn find_shared_in<A: Aggregate>(&self, at: ProjectId, id: A::Id) -> Result<Option<Arc<A>>> {
        Ok(self.read_in(at, id).await?.map(|(state, _)| state))
    }

    async fn read_in<A: Aggregate>(&self, at: ProjectId, id: A::Id) -> Result<Option<(Arc<A>, u32)>> {
        let key = (at, A::KIND, id.into());
        if A::OFTEN_READ
            && let Some((state, schema)) = self.seen().get(&key).cloned()
            && let Ok(state) = state.downcast::<A>()
        {
            return Ok(Some((state, schema)));
        }
        let found = self.storage().get(Scope::Project(at), A::KIND, &[key.2]).await?;
        let Some(snapshot) = found.into_iter().next() else { return Ok(None) };
        let schema = snapshot.schema;
        let state = self.decode::<A>(snapshot)?;
        if A::OFTEN_READ {
            self.seen().insert(key, (state.clone(), schema));
        }
        Ok(Some((state, schema)))
    }

    pub(crate) fn decode<A: Aggregate>(&self, snapshot: Snapshot) -> Result<Arc<A>> {
        self.core.memo.decode(snapshot)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `ids` that exist, in no particular order, hidden ones included.
    pub async fn get_many<A: Aggregate>(&self, ids: &[A::Id]) -> Result<Vec<A>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| (*id).into()).collect();
        let found = self.storage().get(self.scope_of(A::KIND), A::KIND, &ids).await?;
        found.iter().map(decode).collect()
    }

    /// The holder of a unique key, if it is not hidden.
    pub async fn by_key<A: Aggregate>(&self, space: &str, scope: &str, key: &str) -> Result<Option<A>> {
        self.by_key_in(self.scope_of(A::KIND), space, scope, key).await
    }

    /// As [`by_key`](Self::by_key), in a named scope; for keys that are unique over all projects.
    pub async fn by_key_in<A: Aggregate>(&self, at: Scope, space: &str, scope: &str, key: &str) -> Result<Option<A>> {
        let holders = self.storage().find_holders(at, A::KIND, space, &[KeyRef { scope, key }]).await?;
        let state = holders.into_iter().next().map(|holder| self.decode::<A>(holder.snapshot)).transpose()?;
        Ok(state.map(Arc::unwrap_or_clone))
    }

    /// The visible holders of several unique keys of one space that have no scope.
    pub async fn by_keys<A: Aggregate>(&self, space: &str, keys: &[String]) -> Result<Vec<A>> {
        let keys: Vec<KeyRef<'_>> = keys.iter().map(|key| KeyRef { scope: "", key }).collect();
        let holders = self.storage().find_holders(self.scope_of(A::KIND), A::KIND, space, &keys).await?;
        let mut found = BTreeMap::new();
        for Holder { snapshot, .. } in holders {
            found.insert(snapshot.id, decode::<A>(&snapshot)?);
        }
        Ok(found.into_values().filter(|state| !state.is_hidden()).collect())
    }

    /// One page of states by a caller's request.
    pub async fn page<A: Aggregate>(&self, request: &PageRequest) -> Result<Page<A>> {
        self.page_where::<A>(request, Filter::everything()).await
    }

    /// One page of states that also satisfy `always`, which no request can undo.
    pub async fn page_where<A: Aggregate>(&self, request: &PageRequest, always: Filter) -> Result<Page<A>> {
        self.page_in(self.scope_of(A::KIND), request, always).await
    }

    /// As [`page_where`](Self::page_where), in a named scope.
    pub async fn page_in<A: Aggregate>(&self, scope: Scope, request: &PageRequest, always: Filter) -> Result<Page<A>> {
        let fields = Fields::new(A::COLUMNS, A::SETS, A::CUSTOM);
        let mut find = request.find(&fields, self.now)?;
        if always != Filter::everything() {
            find.filter = Filter::All(vec![always, find.filter]);
        }
        let found = self.storage().find(scope, A::KIND, &find).await?;
        request.page(&find, found, decode::<A>)
    }

    /// The states that satisfy a request of the engine's own.
    pub async fn find_states<A: Aggregate>(&self, find: &crate::storage::Find) -> Result<Vec<A>> {
        let found = self.storage().find(self.scope_of(A::KIND), A::KIND, find).await?;
        found.rows.iter().map(|row| decode(&row.snapshot)).collect()
    }

    /// How many visible states satisfy a caller's filter and `always`.
    pub async fn count<A: Aggregate>(
        &self,
        filter: Option<&crate::storage::FilterExpression>,
        always: Filter,
    ) -> Result<u64> {
        let checked = match filter {
            Some(filter) => {
                filter.check(&Fields::new(A::COLUMNS, A::SETS, A::CUSTOM), self.now).map_err(|e| e.at("filter"))?
            }
            None => Filter::everything(),
        };
        self.storage().count(self.scope_of(A::KIND), A::KIND, &Filter::All(vec![always, checked]), false).await
    }

    /// Full-text hits with their states, best first. Fewer than 2 characters find nothing.
    pub async fn search<A: Aggregate>(&self, text: &str, limit: usize) -> Result<Vec<(A, SearchHit)>> {
        if !(1..=100).contains(&limit) {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", 100));
        }
        let folded = crate::kernel::fold(text);
        if folded.chars().count() < 2 {
            return Ok(Vec::new());
        }
        let hits = self.storage().search(self.scope_of(A::KIND), A::KIND, &folded, limit).await?;
        hits.into_iter().map(|hit| Ok((decode::<A>(&hit.snapshot)?, hit))).collect()
    }
}
