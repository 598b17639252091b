//! For tests only: scripted model server, scripted agent, repositories.
