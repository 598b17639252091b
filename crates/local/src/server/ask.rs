//! Questions about tasks: pages of them, one, how many.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_api::control::{self, Asked, DamageQuery, Refusal, TaskPage, TaskView};
use midwatch_api::report::EVENTS_FILE;
use midwatch_api::task::TaskOrder;
use midwatch_core::id::TaskName;
use midwatch_core::ports::ActOnLand;
use midwatch_core::task::State;
use midwatch_core::time::Time;

use super::Server;
use super::refusal::{internal, unknown};
use crate::access::Access;
use crate::segment::{Compared, SHOWN, Stream};
use crate::store::{Cursor, Page, TaskRow};
use crate::view;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// A page of tasks, newest first, with the cursor of the next.
    pub fn tasks(&self, asked: Asked) -> Result<TaskPage, Refusal> {
        let Asked { limit, after, states } = asked;
        let after =
            after.map(|cursor| Cursor { submitted: Time(cursor.submitted_ms), name: cursor.name });
        // One more than asked for tells whether there is another page.
        let page = Page { limit: limit.saturating_add(1), after, states };
        let mut tasks = self.page(&page)?;
        let more = tasks.len() > limit as usize;
        tasks.truncate(limit as usize);
        let last = tasks.last().filter(|_| more);
        let next = last.map(|task| {
            let name = task.result.task.clone().unwrap_or_default();
            control::Cursor { submitted_ms: task.submitted_ms, name }.to_string()
        });
        Ok(TaskPage { tasks, next })
    }

    /// A page of tasks, newest first.
    pub fn page(&self, page: &Page) -> Result<Vec<TaskView>, Refusal> {
        let views = self.store.page(page).map_err(|e| internal(&e))?;
        Ok(self.placed(views))
    }

    /// One task.
    pub fn get(&self, name: &str) -> Result<TaskView, Refusal> {
        let mut view = self.get_unnoted(name)?;
        if let Ok(row) = self.row(name) {
            self.note_files(&row, &mut view.result);
        }
        view.collected = self.store.collected(name).map_err(|e| internal(&e))?;
        Ok(view)
    }

    /// One task without what only its mirror tells.
    pub(super) fn get_unnoted(&self, name: &str) -> Result<TaskView, Refusal> {
        let view = self.store.view_or_damage(name).map_err(|e| internal(&e))?;
        let placed = self.placed(view.into_iter().collect()).pop();
        placed.ok_or_else(|| unknown(name))
    }

    /// The stored order of a task.
    pub fn order(&self, name: &str) -> Result<TaskOrder, Refusal> {
        Ok(self.row(name)?.order)
    }

    /// What is wrong with the transcripts of a task's runs, a sentence each: files that are gone,
    /// cut, or changed since they were full. Reads what people are shown at first, or all.
    pub fn damage(&self, name: &str, asked: &DamageQuery) -> Result<Vec<String>, Refusal> {
        let compared = if asked.all { Compared::All } else { Compared::End(SHOWN) };
        let mut damage = Vec::new();
        for run in self.get(name)?.runs {
            let stream = Stream::new(&self.store, Path::new(&run.folder), &run.run, EVENTS_FILE);
            let found = stream.damage(compared).map_err(|error| internal(&error))?;
            damage.extend(found.iter().map(ToString::to_string));
        }
        Ok(damage)
    }

    /// Tasks that are not over.
    pub fn open_tasks(&self) -> usize {
        self.engine.open()
    }

    /// Tasks that something will happen to without anybody's help, and one more while there is
    /// something to clean up: a server with none may exit.
    pub fn busy_tasks(&self) -> usize {
        let cleaning = self.engine.told() != self.cleaned.borrow().changes;
        let collecting = self.collecting.try_lock().is_err();
        self.engine.busy() + usize::from(cleaning) + usize::from(collecting)
    }

    pub(crate) fn row(&self, name: &str) -> Result<TaskRow, Refusal> {
        let row = self.store.row(name).map_err(|e| internal(&e))?;
        row.ok_or_else(|| unknown(name))
    }

    /// Views with what hangs on the moment: the queue, asked once for all, and what is on disk.
    fn placed(&self, views: Vec<TaskView>) -> Vec<TaskView> {
        let asked = views.iter().any(|view| queued(view).is_some());
        let mut waiting = if asked { self.engine.waiting() } else { BTreeMap::new() };
        let placed = |view: TaskView| {
            let waits = queued(&view).and_then(|name| waiting.remove(&name));
            let mut view = view::placed(view, &self.folder, waits.as_ref());
            if view.result.task.as_deref().is_some_and(|task| self.reserve.is_waited_for(task)) {
                view::waits_for_disk(&mut view);
            }
            view
        };
        views.into_iter().map(placed).collect()
    }
}

fn queued(view: &TaskView) -> Option<TaskName> {
    let queued = view.result.state.as_deref() == Some(State::Queued.as_str());
    TaskName::parse(view.result.task.as_deref().filter(|_| queued)?).ok()
}
