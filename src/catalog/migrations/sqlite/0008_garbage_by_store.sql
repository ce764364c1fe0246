-- Each store is swept apart: what is due in one is found without a look at the rows of the others.
CREATE INDEX garbage_by_store ON garbage (store, due_at);
DROP INDEX garbage_by_age;
