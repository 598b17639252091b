//! Every request that the server answers, in one table: the router is made from it, and so is
//! the `OpenAPI` document, so that neither can know a path that the other does not.

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks; changes nothing.
    Get,
    /// Does something.
    Post,
    /// Takes something away.
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request that the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Who the server is.
    Server,
    /// This interface.
    OpenApi,
    /// Ends the server.
    Shutdown,
    /// Tasks, page by page.
    ListTasks,
    /// Submits a task.
    Submit,
    /// One task.
    GetTask,
    /// Forgets a task.
    DeleteTask,
    /// A task's order.
    GetOrder,
    /// What happens to a task.
    Events,
    /// What is wrong with a task's transcripts.
    Damage,
    /// A decision about a task.
    Command,
    /// Kills a task's runs.
    Kill,
    /// What a task changed.
    Patch,
    /// A task's result in a worktree.
    Open,
    /// Stores what files describe.
    Apply,
    /// Objects of one kind.
    ListObjects,
    /// One object.
    GetObject,
    /// Takes an object away.
    DeleteObject,
    /// What happened since somebody looked last.
    Brief,
    /// A brief was read.
    BriefRead,
    /// Removes what is no longer needed.
    Collect,
    /// Pauses everything, or lets it go on.
    Pause,
}

impl Endpoint {
    /// Every one, in the order of the document.
    pub const ALL: [Self; 22] = [
        Self::Server,
        Self::OpenApi,
        Self::Shutdown,
        Self::ListTasks,
        Self::Submit,
        Self::GetTask,
        Self::DeleteTask,
        Self::GetOrder,
        Self::Events,
        Self::Damage,
        Self::Command,
        Self::Kill,
        Self::Patch,
        Self::Open,
        Self::Apply,
        Self::ListObjects,
        Self::GetObject,
        Self::DeleteObject,
        Self::Brief,
        Self::BriefRead,
        Self::Collect,
        Self::Pause,
    ];

    /// The method.
    pub const fn method(self) -> Method {
        match self {
            Self::Server
            | Self::OpenApi
            | Self::ListTasks
            | Self::GetTask
            | Self::GetOrder
            | Self::Events
            | Self::Damage
            | Self::Patch
            | Self::ListObjects
            | Self::GetObject
            | Self::Brief => Method::Get,
            Self::Shutdown
            | Self::Submit
            | Self::Command
            | Self::Kill
            | Self::Open
            | Self::Apply
            | Self::BriefRead
            | Self::Collect
            | Self::Pause => Method::Post,
            Self::DeleteTask | Self::DeleteObject => Method::Delete,
        }
    }

    /// The path; `{name}` and `{kind}` stand for one part each.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Server => "/v1/server",
            Self::OpenApi => "/openapi.json",
            Self::Shutdown => "/v1/shutdown",
            Self::ListTasks | Self::Submit => "/v1/tasks",
            Self::GetTask | Self::DeleteTask => "/v1/tasks/{name}",
            Self::GetOrder => "/v1/tasks/{name}/order",
            Self::Events => "/v1/tasks/{name}/events",
            Self::Damage => "/v1/tasks/{name}/damage",
            Self::Command => "/v1/tasks/{name}/commands",
            Self::Kill => "/v1/tasks/{name}/kill",
            Self::Patch => "/v1/tasks/{name}/patch",
            Self::Open => "/v1/tasks/{name}/open",
            Self::Apply => "/v1/apply",
            Self::ListObjects => "/v1/objects/{kind}",
            Self::GetObject | Self::DeleteObject => "/v1/objects/{kind}/{name}",
            Self::Brief => "/v1/brief",
            Self::BriefRead => "/v1/brief/read",
            Self::Collect => "/v1/gc",
            Self::Pause => "/v1/pause",
        }
    }

    /// What it is for, in a sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Server => "Who the server is",
            Self::OpenApi => "This document",
            Self::Shutdown => {
                "Ends a server that a client started, unless something goes on that needs it"
            }
            Self::ListTasks => "Tasks, newest first, page by page",
            Self::Submit => "Submits a task; durable when this is answered",
            Self::GetTask => "One task as it stands",
            Self::DeleteTask => "Forgets a task that is over; its saved work stays in the mirror",
            Self::GetOrder => "What was ordered, to be submitted again under another name",
            Self::Events => "What happens to a task, as JSON lines, the last one its result",
            Self::Damage => "What is wrong with the files of a task's transcripts, a sentence each",
            Self::Command => "A decision of somebody about a task",
            Self::Kill => "Kills a task's runs at once; what they wrote is rescued after that",
            Self::Patch => "What a task changed against its base",
            Self::Open => "Puts a task's result, or what was saved of it, into a worktree",
            Self::Apply => "Stores objects and submits tasks: all of them, or nothing",
            Self::ListObjects => "Objects of one kind, by name",
            Self::GetObject => "One object",
            Self::DeleteObject => "Takes an object away; tasks that were made with it go on",
            Self::Brief => "What happened since somebody looked last, and what waits",
            Self::BriefRead => "Says up to when a brief was read: the next one begins there",
            Self::Collect => "Removes what is no longer needed, or says what would go and why",
            Self::Pause => "Stops all agents and lets no task begin, or lets everything go on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_share_method_and_path() {
        for (place, one) in Endpoint::ALL.iter().enumerate() {
            for other in &Endpoint::ALL[place + 1..] {
                let same = one.method() == other.method() && one.path() == other.path();
                assert!(!same, "{one:?} and {other:?}");
            }
        }
    }
}
