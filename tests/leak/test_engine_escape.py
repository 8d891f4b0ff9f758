"""Around the session: its engine, its pool, new connections, sessions and engines made from them."""

from __future__ import annotations

from sqlalchemy import MetaData, create_engine, inspect, select, text
from sqlalchemy.orm import Session, sessionmaker

from .probes import attempts, each
from .suite import route

SUBJECTS = text("SELECT subject FROM tickets")


def _engine(session):
    """The engine under the session's connection, which is given back: SQLite has one writer."""
    engine = session.connection().engine
    session.rollback()
    return engine


@route
def test_get_bind(session, world):
    with session.get_bind().connect() as connection:
        return connection.execute(SUBJECTS).all()


@route
def test_get_bind_for_a_mapper(session, world):
    with session.get_bind(world.Ticket).connect() as connection:
        return connection.execute(select(world.Ticket.__table__)).all()


@route
def test_bind_attribute(session, world):
    with session.bind.connect() as connection:
        return connection.execute(SUBJECTS).all()


@route
def test_engine_of_the_connection(session, world):
    with _engine(session).connect() as connection:
        return connection.execute(SUBJECTS).all()


@route
def test_engine_begin_and_write(session, world):
    engine = _engine(session)
    with engine.begin() as connection:
        connection.execute(text("UPDATE tickets SET subject = 'overwritten'"))


@route
def test_raw_connection(session, world):
    connection = _engine(session).raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT subject FROM tickets")
        return cursor.fetchall()
    finally:
        connection.close()


@route
def test_pool(session, world):
    connection = _engine(session).pool.connect()
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT note FROM agents")
        return cursor.fetchall()
    finally:
        connection.close()


@route
def test_engine_with_other_options(session, world):
    engine = _engine(session).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return connection.execute(SUBJECTS).all()


@route(dialect="postgresql")
def test_engine_with_translated_schemas(session, world):
    seen, table = [], select(world.Ticket.__table__.c.subject)
    for name in world.spellings("tickets"):
        schemas = {"schema_translate_map": {None: name.rpartition(".")[0].strip('"')}}
        seen += attempts(session, [lambda s=schemas: session.connection(execution_options=s).execute(table).all()])
        session.rollback()
    return seen


@route
def test_plain_session_on_the_engine(session, world):
    with Session(session.get_bind()) as plain:
        return plain.scalars(select(world.Ticket)).all()


@route
def test_plain_sessionmaker(session, world):
    with sessionmaker(bind=_engine(session))() as plain:
        return plain.query(world.Agent).all()


@route
def test_same_class_of_session_without_a_tenant(session, world):
    kind = type(session)
    return attempts(session, [lambda: _read_with(kind, session)])


def _read_with(kind, session):
    try:
        other = kind(bind=session.get_bind())
    except TypeError:
        return None
    with other:
        return other.execute(SUBJECTS).all()


@route
def test_new_session_of_the_same_info(session, world):
    with Session(_engine(session), info=dict(session.info)) as plain:
        return plain.execute(SUBJECTS).all()


@route
def test_reflection(session, world):
    engine = _engine(session)
    metadata = MetaData()
    metadata.reflect(bind=engine, only=["tickets"], views=True)
    return session.execute(select(metadata.tables["tickets"])).all()


@route
def test_inspection_of_other_schemas(session, world):
    inspector = inspect(session.connection())
    seen = []
    for schema in inspector.get_schema_names():
        seen += attempts(session, [lambda s=schema: session.execute(text(f'SELECT * FROM "{s}".tickets')).all()])
    return seen


@route(dialect="postgresql", doors="sync")
def test_new_engine_with_the_same_login(session, world):
    engine = create_engine(_engine(session).url)
    try:
        with Session(engine) as plain:
            return each(plain, [f"SELECT subject FROM {name}" for name in world.spellings("tickets")])
    finally:
        engine.dispose()


@route
def test_bind_argument_of_a_statement(session, world):
    engine = _engine(session)
    return session.execute(select(world.Ticket), bind_arguments={"bind": engine}).all()


@route
def test_bind_argument_with_a_fresh_connection(session, world):
    engine = _engine(session)
    with engine.connect() as connection:
        return session.execute(select(world.Agent), bind_arguments={"bind": connection}).scalars().all()
