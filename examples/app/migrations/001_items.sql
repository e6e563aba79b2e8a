CREATE TABLE items (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  quantity integer NOT NULL CHECK (quantity BETWEEN 0 AND 1000000)
);
