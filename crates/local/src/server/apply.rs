//! Files of objects: checked as a whole, then stored in one transaction.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use midwatch_api::control::{
    Applied, AppliedObject, Apply, ApplyTask, Change, Deleted, ObjectView, Refusal,
};
use midwatch_api::kind::{AnyObject, Kind, WireObject};
use midwatch_api::object::Metadata;
use midwatch_api::task::TaskOrder;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::task::TaskSpec;

use super::Server;
use super::refusal::{internal, refused, stored};
use super::shipped;
use crate::access::Access;
use crate::launcher::SystemClock;
use crate::store::{ObjectRow, StoreError, Unstored};

/// What is going to be stored.
#[derive(Default)]
struct Plan {
    /// What was kept for it: of no use when it is refused.
    kept: BTreeSet<String>,
    objects: Vec<(WireObject, Option<TaskOrder>)>,
    specs: Vec<TaskSpec>,
}

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Stores objects and submits tasks: all of them, or nothing.
    pub fn apply(&self, apply: Apply) -> Result<Applied, Refusal> {
        let Apply { objects, tasks, dry_run } = apply;
        let all = objects.iter().chain(tasks.iter().map(|task| &task.object));
        let mut names = BTreeSet::new();
        for object in all {
            AnyObject::try_from(object.clone()).map_err(|error| of(object, error))?;
            if !names.insert((object.kind, object.metadata.name.clone())) {
                let name = &object.metadata.name;
                let rule = "stands twice";
                let what = InvalidInput::new("metadata.name", name, rule, "keep one of them");
                return Err(of(object, what));
            }
        }
        // Against the clean-up, until the tasks that name a credential are open.
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan::default();
        let stored = self.store_all(objects, tasks, dry_run, &mut plan);
        let Plan { kept, objects, specs } = plan;
        let changes = stored.inspect_err(|_| self.forget_unnamed(kept))?;
        if !dry_run {
            for spec in specs {
                self.engine.add(spec);
            }
        }
        let told = objects.into_iter().zip(changes).map(|((object, _), change)| AppliedObject {
            kind: object.kind,
            name: object.metadata.name,
            change,
        });
        Ok(Applied { changes: told.collect() })
    }

    /// Decides about everything, and stores it at once; what became of each, in their order.
    fn store_all(
        &self,
        objects: Vec<WireObject>,
        tasks: Vec<ApplyTask>,
        dry_run: bool,
        plan: &mut Plan,
    ) -> Result<Vec<Change>, Refusal> {
        plan.objects.extend(objects.into_iter().map(|object| (object, None)));
        for task in tasks {
            self.plan(task, dry_run, plan)?;
        }
        if dry_run {
            return self.store.would_change(&plan.objects).map_err(|e| internal(&e));
        }
        let done = self.between("Applied", || self.store.apply(&plan.objects, SystemClock.now()));
        done.map_err(|error| match error {
            Unstored::Taken(name) => taken(&name),
            Unstored::Store(error) => stored(&error),
        })
    }

    /// Decides about one task: it is new, or it is there just so.
    fn plan(&self, task: ApplyTask, dry_run: bool, plan: &mut Plan) -> Result<(), Refusal> {
        let ApplyTask { object, submit } = task;
        let name = object.metadata.name.clone();
        if object.kind != Kind::Task {
            let known = Kind::Task.as_str();
            let what = InvalidInput::new("kind", object.kind.as_str(), "is no task", known);
            return Err(of(&object, what));
        }
        let found = self.stored(Kind::Task, &name)?;
        let there = self.store.row(&name).map_err(|e| internal(&e))?.is_some();
        if there && let Some(found) = &found {
            if found.object.spec != object.spec {
                let rule = "was submitted with another spec, and a task is immutable";
                let fix =
                    "give another name, or `midwatch delete` it where none of its work was saved";
                return Err(of(&object, InvalidInput::new("metadata.name", &name, rule, fix)));
            }
            plan.objects.push((object, None));
            return Ok(());
        }
        if there {
            return Err(taken(&name));
        }
        let Some(submit) = submit else {
            let message = format!("task {name} is gone meanwhile");
            return Err(Refusal { message, hint: Some("apply it again".into()), exit: 1 });
        };
        let order = if dry_run {
            submit.order
        } else {
            let order = self.keep(&submit)?;
            plan.kept.extend(order.kept_ids().map(ToOwned::to_owned));
            order
        };
        order.check_new().map_err(|error| of(&object, error))?;
        let spec = order.to_spec(&name).map_err(|error| of(&object, error))?;
        let same =
            |other: &&TaskSpec| other.repository == spec.repository && other.branch == spec.branch;
        if let Some(other) = plan.specs.iter().find(same) {
            let rule = format!("is the branch of task {} of the same repository, too", other.name);
            let branch = spec.branch.as_str();
            let what = InvalidInput::new("spec.branch", branch, &rule, "give another name");
            return Err(of(&object, what));
        }
        self.name_is_free(&name)?;
        self.branch_is_free(&spec)?;
        plan.specs.push(spec);
        plan.objects.push((object, Some(order)));
        Ok(())
    }

    fn stored(&self, kind: Kind, name: &str) -> Result<Option<ObjectRow>, Refusal> {
        self.store.object(kind, name).map_err(|e| internal(&e))
    }

    /// Objects of a kind, by name; those that ship first.
    pub fn objects(&self, kind: Kind) -> Result<Vec<ObjectView>, Refusal> {
        let rows = self.store.objects(kind).map_err(|e| internal(&e))?;
        let mut all = match kind {
            Kind::Pipeline => shipped::all()?,
            Kind::Task | Kind::Profile | Kind::Repository => vec![],
        };
        let stored = rows.into_iter().map(|(name, row)| match row {
            Ok(row) => shown(row),
            Err(damage) => unreadable(kind, name, &damage),
        });
        all.extend(stored.filter(|view| !shipped::is(kind, &view.object.metadata.name)));
        Ok(all)
    }

    /// One object. What ships is used before one of the same name that was applied.
    pub fn object(&self, kind: Kind, name: &str) -> Result<ObjectView, Refusal> {
        if shipped::is(kind, name) {
            return shipped::one(name);
        }
        self.stored(kind, name)?.map(shown).ok_or_else(|| absent(kind, name))
    }

    /// Takes a profile, pipeline or repository away. Tasks hold copies of what they need.
    pub fn delete_object(&self, kind: Kind, name: &str) -> Result<Deleted, Refusal> {
        if kind == Kind::Task {
            let text = "a task is deleted as a task; use DELETE /v1/tasks/NAME";
            return Err(Refusal { message: text.into(), hint: None, exit: 2 });
        }
        // An older version took in one of a name that ships: that can be taken away.
        let removed = self.between("ObjectDeleted", || self.store.remove_object(kind, name));
        if !removed.map_err(|e| stored(&e))? {
            let ships = shipped::is(kind, name);
            return Err(if ships { shipped::stays(name) } else { absent(kind, name) });
        }
        Ok(Deleted { name: name.to_owned(), kept: vec![] })
    }
}

fn shown(row: ObjectRow) -> ObjectView {
    ObjectView {
        object: row.object,
        shipped: false,
        generation: row.generation,
        created_ms: row.created.0,
        changed_ms: row.changed.0,
        damaged: None,
    }
}

/// That it is there, and what is wrong with it.
fn unreadable(kind: Kind, name: String, damage: &StoreError) -> ObjectView {
    let metadata = Metadata { name, ..Metadata::default() };
    let object = WireObject { kind, metadata, spec: serde_json::Value::Null };
    let damaged = Some(damage.to_string());
    ObjectView { object, shipped: false, generation: 0, created_ms: 0, changed_ms: 0, damaged }
}

/// A refusal that says which object it is about.
fn of(object: &WireObject, error: InvalidInput) -> Refusal {
    let name = midwatch_core::input::shown(&object.metadata.name);
    Refusal { message: format!("{} {name}: {error}", object.kind), ..refused(error) }
}

fn taken(name: &str) -> Refusal {
    refused(InvalidInput::new(
        "metadata.name",
        name,
        "belongs to a task that was made by another command",
        "give another name",
    ))
}

fn absent(kind: Kind, name: &str) -> Refusal {
    let name = midwatch_core::input::shown(name);
    Refusal {
        message: format!("there is no {kind} '{name}'"),
        hint: Some(format!("`midwatch get {}` lists them", kind.plural())),
        exit: 2,
    }
}
