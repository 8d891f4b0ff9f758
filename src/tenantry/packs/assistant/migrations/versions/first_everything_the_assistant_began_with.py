"""everything the assistant began with

Revision ID: first
Revises:
Create Date: 2026-11-22 15:18:25.365271

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import tenantry.models
import tenantry.usage.money

revision: str = "first"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    if op.holds("platform"):
        op.create_table(
            "access_logins",
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column("subject", sa.String(length=255), nullable=False),
            sa.Column("tenant", sa.Uuid(), nullable=True),
            sa.Column("impersonator", sa.String(length=255), nullable=True),
            sa.Column("reason", sa.Text(), nullable=True),
            sa.Column("began_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.Column("expires_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.Column("ended_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_access_logins")),
        )
        op.grant_platform("access_logins")
        op.create_index(op.f("ix_access_logins_expires_at"), "access_logins", ["expires_at"], unique=False)
        op.create_index(op.f("ix_access_logins_impersonator"), "access_logins", ["impersonator"], unique=False)
        op.create_index(op.f("ix_access_logins_subject"), "access_logins", ["subject"], unique=False)
        op.create_index(op.f("ix_access_logins_tenant"), "access_logins", ["tenant"], unique=False)
        op.create_table(
            "access_logins_attempts",
            sa.Column("digest", sa.String(length=64), nullable=False),
            sa.Column("made", sa.Integer(), nullable=False),
            sa.Column("ends_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_logins_attempts")),
        )
        op.grant_platform("access_logins_attempts")
        op.create_index(op.f("ix_access_logins_attempts_ends_at"), "access_logins_attempts", ["ends_at"], unique=False)
        op.create_table(
            "access_logins_refreshes",
            sa.Column("digest", sa.String(length=64), nullable=False),
            sa.Column("login", sa.Uuid(), nullable=False),
            sa.Column("used_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_logins_refreshes")),
        )
        op.grant_platform("access_logins_refreshes")
        op.create_index(op.f("ix_access_logins_refreshes_login"), "access_logins_refreshes", ["login"], unique=False)

    op.create_table(
        "agent_logs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_type", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=True),
        sa.Column("input_data", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("output_data", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("is_council_vote", sa.Boolean(), nullable=False),
        sa.Column("vote_data", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("execution_time_ms", sa.Float(), nullable=True),
        sa.Column("token_usage", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_agent_logs_confidence"),
        sa.CheckConstraint("execution_time_ms >= 0", name="ck_agent_logs_execution_time_ms"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_agent_logs")),
    )
    op.wall("agent_logs")
    op.append_only("agent_logs")
    op.create_index(
        op.f("ix_agent_logs_agent_type_created_at"),
        "agent_logs",
        ["tenant_id", "agent_type", "created_at"],
        unique=False,
    )
    op.create_index(op.f("ix_agent_logs_message_id"), "agent_logs", ["tenant_id", "message_id"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "chain", name=op.f("pk_audit_heads")),
    )
    op.wall("audit_heads")
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("resource_type", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("impersonator", sa.String(), nullable=True),
        sa.Column("correlation_id", sa.String(), nullable=True),
        sa.Column("changes", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("details", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name=op.f("pk_audit_log")),
        sa.UniqueConstraint("tenant_id", "id", name="uq_audit_log_id"),
    )
    op.wall("audit_log")
    op.append_only("audit_log")
    op.create_index(
        "ix_audit_log_failures",
        "audit_log",
        ["tenant_id", "seq"],
        unique=False,
        postgresql_where=sa.text("status <> 'success'"),
        sqlite_where=sa.text("status <> 'success'"),
    )
    op.create_index("ix_audit_log_resource", "audit_log", ["tenant_id", "resource_type", "resource_id"], unique=False)
    op.create_index("ix_audit_log_time", "audit_log", ["tenant_id", "recorded_at"], unique=False)
    if op.holds("platform"):
        op.create_table(
            "companies",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("industry", sa.String(), nullable=True),
            sa.Column("database_name", sa.String(), nullable=True),
            sa.Column("is_active", sa.Boolean(), nullable=False),
            sa.Column("tenant", sa.Uuid(), nullable=True),
            sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
            sa.UniqueConstraint("database_name", name=op.f("uq_companies_database_name")),
            sa.UniqueConstraint("name", name=op.f("uq_companies_name")),
            sa.UniqueConstraint("tenant", name=op.f("uq_companies_tenant")),
            sqlite_autoincrement=True,
        )
        op.grant_platform("companies")

    op.create_table(
        "conversations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("llm_provider", sa.String(), nullable=False),
        sa.Column("selected_document_ids", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conversations")),
    )
    op.wall("conversations")
    op.create_index(
        op.f("ix_conversations_user_id_created_at"),
        "conversations",
        ["tenant_id", "user_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "documents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("original_filename", sa.String(), nullable=False),
        sa.Column("file_path", sa.String(), nullable=False),
        sa.Column("file_size", sa.Integer(), nullable=True),
        sa.Column("file_type", sa.String(), nullable=True),
        sa.Column("processing_status", sa.String(), nullable=False),
        sa.Column("is_processed", sa.Boolean(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("keywords", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("topics", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("content_type", sa.String(), nullable=True),
        sa.Column("uploaded_by_id", sa.Integer(), nullable=True),
        sa.Column("uploaded_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("processed_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("is_processed = (processing_status = 'completed')", name="ck_documents_is_processed"),
        sa.CheckConstraint(
            "processing_status IN ('pending', 'processing', 'completed', 'failed')",
            name="ck_documents_processing_status",
        ),
        sa.CheckConstraint("scope IN ('company', 'user')", name="ck_documents_scope"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_documents")),
    )
    op.wall("documents")
    op.create_index(
        op.f("ix_documents_processing_status"), "documents", ["tenant_id", "processing_status"], unique=False
    )
    op.create_index(op.f("ix_documents_uploaded_at"), "documents", ["tenant_id", "uploaded_at"], unique=False)
    op.create_index(op.f("ix_documents_uploaded_by_id"), "documents", ["tenant_id", "uploaded_by_id"], unique=False)
    if op.holds("platform"):
        op.create_table(
            "permissions",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("resource", sa.String(), nullable=False),
            sa.Column("action", sa.String(), nullable=False),
            sa.Column("description", sa.String(), nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
            sa.UniqueConstraint("resource", "action", name=op.f("uq_permissions_resource_action")),
        )
        op.grant_platform("permissions")

    op.create_table(
        "profiles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("target_year", sa.Integer(), nullable=True),
        sa.Column("renewable_percentage_increase", sa.Float(), nullable=True),
        sa.Column("budget", sa.Float(), nullable=True),
        sa.Column("historical_data_uploaded", sa.Boolean(), nullable=False),
        sa.Column("chroma_collection_name", sa.String(), nullable=True),
        sa.Column("total_consumption_kwh", sa.Float(), nullable=True),
        sa.Column("current_renewable_percentage", sa.Float(), nullable=True),
        sa.Column("sustainability_score", sa.Float(), nullable=True),
        sa.Column("onboarding_completed", sa.Boolean(), nullable=False),
        sa.Column("energy_mix_weight", sa.Float(), nullable=False),
        sa.Column("price_optimization_weight", sa.Float(), nullable=False),
        sa.Column("portfolio_decision_weight", sa.Float(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("budget >= 0", name="ck_profiles_budget"),
        sa.CheckConstraint(
            "current_renewable_percentage >= 0 AND current_renewable_percentage <= 100",
            name="ck_profiles_current_renewable_percentage",
        ),
        sa.CheckConstraint(
            "energy_mix_weight + price_optimization_weight + portfolio_decision_weight BETWEEN 0.999999 AND 1.000001",
            name="ck_profiles_weights",
        ),
        sa.CheckConstraint("energy_mix_weight >= 0", name="ck_profiles_energy_mix_weight"),
        sa.CheckConstraint("portfolio_decision_weight >= 0", name="ck_profiles_portfolio_decision_weight"),
        sa.CheckConstraint("price_optimization_weight >= 0", name="ck_profiles_price_optimization_weight"),
        sa.CheckConstraint(
            "renewable_percentage_increase >= 0 AND renewable_percentage_increase <= 100",
            name="ck_profiles_renewable_percentage_increase",
        ),
        sa.CheckConstraint("total_consumption_kwh >= 0", name="ck_profiles_total_consumption_kwh"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("tenant_id", "company_id", name=op.f("uq_profiles_company_id")),
    )
    op.wall("profiles")
    if op.holds("platform"):
        op.create_table(
            "roles",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("description", sa.String(), nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
            sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
        )
        op.grant_platform("roles")

    op.create_table(
        "tenantry_counters",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_tenantry_counters")),
    )
    op.wall("tenantry_counters")
    if op.holds("shared"):
        op.create_table(
            "global_documents",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("scope", sa.String(), nullable=False),
            sa.Column("filename", sa.String(), nullable=False),
            sa.Column("original_filename", sa.String(), nullable=False),
            sa.Column("file_path", sa.String(), nullable=False),
            sa.Column("file_size", sa.Integer(), nullable=True),
            sa.Column("file_type", sa.String(), nullable=True),
            sa.Column("processing_status", sa.String(), nullable=False),
            sa.Column("is_processed", sa.Boolean(), nullable=False),
            sa.Column("summary", sa.Text(), nullable=True),
            sa.Column("keywords", tenantry.models.JSONDocument(), nullable=True),
            sa.Column("topics", tenantry.models.JSONDocument(), nullable=True),
            sa.Column("content_type", sa.String(), nullable=True),
            sa.Column("uploaded_by_id", sa.Integer(), nullable=True),
            sa.Column("uploaded_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.Column("processed_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.CheckConstraint(
                "processing_status IN ('pending', 'processing', 'completed', 'failed')",
                name="ck_global_documents_processing_status",
            ),
            sa.CheckConstraint("scope = 'global'", name="ck_global_documents_scope"),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_global_documents")),
            schema="tenantry_shared",
        )
        op.share("global_documents")

    op.create_table(
        "token_usage",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("operation_type", sa.String(), nullable=True),
        sa.Column("operation_id", sa.String(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("total_tokens", sa.Integer(), nullable=False),
        sa.Column("estimated_cost", tenantry.usage.money.Money(), nullable=True),
        sa.Column("llm_provider", sa.String(), nullable=True),
        sa.Column("model_name", sa.String(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("estimated_cost >= 0", name="ck_token_usage_cost"),
        sa.CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0", name="ck_token_usage_tokens"),
        sa.CheckConstraint("total_tokens = prompt_tokens + completion_tokens", name="ck_token_usage_total"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_token_usage")),
    )
    op.wall("token_usage")
    op.append_only("token_usage")
    op.create_index(
        op.f("ix_token_usage_operation_type_operation_id"),
        "token_usage",
        ["tenant_id", "operation_type", "operation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_token_usage_user_id_created_at"), "token_usage", ["tenant_id", "user_id", "created_at"], unique=False
    )
    op.create_table(
        "document_chunks",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("embedding_id", sa.String(), nullable=True),
        sa.Column("chunk_index", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("token_count", sa.Integer(), nullable=True),
        sa.Column("page_number", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            name=op.f("fk_document_chunks_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_document_chunks")),
        sa.UniqueConstraint(
            "tenant_id", "document_id", "chunk_index", name=op.f("uq_document_chunks_document_id_chunk_index")
        ),
        sa.UniqueConstraint("tenant_id", "embedding_id", name=op.f("uq_document_chunks_embedding_id")),
    )
    op.wall("document_chunks")
    op.create_table(
        "messages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("sources", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("reasoning_chain", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("token_usage", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("timestamp", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("role IN ('user', 'assistant')", name="ck_messages_role"),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_messages_confidence"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("fk_messages_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_messages")),
    )
    op.wall("messages")
    op.create_index(
        op.f("ix_messages_conversation_id_timestamp"),
        "messages",
        ["tenant_id", "conversation_id", "timestamp"],
        unique=False,
    )
    if op.holds("platform"):
        op.create_table(
            "role_permissions",
            sa.Column("role_id", sa.Integer(), nullable=False),
            sa.Column("permission_id", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(
                ["permission_id"],
                ["permissions.id"],
                name=op.f("fk_role_permissions_permission_id"),
                ondelete="CASCADE",
            ),
            sa.ForeignKeyConstraint(
                ["role_id"], ["roles.id"], name=op.f("fk_role_permissions_role_id"), ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("role_id", "permission_id", name=op.f("pk_role_permissions")),
        )
        op.grant_platform("role_permissions")
        op.create_index(op.f("ix_role_permissions_permission_id"), "role_permissions", ["permission_id"], unique=False)

    if op.holds("shared"):
        op.create_table(
            "global_document_chunks",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("document_id", sa.Integer(), nullable=False),
            sa.Column("embedding_id", sa.String(), nullable=True),
            sa.Column("chunk_index", sa.Integer(), nullable=False),
            sa.Column("content", sa.Text(), nullable=False),
            sa.Column("token_count", sa.Integer(), nullable=True),
            sa.Column("page_number", sa.Integer(), nullable=True),
            sa.ForeignKeyConstraint(
                ["document_id"],
                ["tenantry_shared.global_documents.id"],
                name=op.f("fk_global_document_chunks_document_id"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_global_document_chunks")),
            sa.UniqueConstraint(
                "document_id", "chunk_index", name=op.f("uq_global_document_chunks_document_id_chunk_index")
            ),
            sa.UniqueConstraint("embedding_id", name=op.f("uq_global_document_chunks_embedding_id")),
            schema="tenantry_shared",
        )
        op.share("global_document_chunks")
        op.create_index(
            op.f("ix_global_document_chunks_document_id"),
            "global_document_chunks",
            ["document_id"],
            unique=False,
            schema="tenantry_shared",
        )

    if op.holds("platform"):
        op.create_table(
            "users",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("username", sa.String(), nullable=False),
            sa.Column("email", sa.String(), nullable=False),
            sa.Column("hashed_password", sa.String(), nullable=False),
            sa.Column("full_name", sa.String(), nullable=True),
            sa.Column("company_id", sa.Integer(), nullable=True),
            sa.Column("role_id", sa.Integer(), nullable=True),
            sa.Column("preferred_llm", sa.String(), nullable=False),
            sa.Column("explainability_level", sa.String(), nullable=False),
            sa.Column("has_completed_onboarding", sa.Boolean(), nullable=False),
            sa.Column("is_active", sa.Boolean(), nullable=False),
            sa.Column("last_login", tenantry.models.UTCDateTime(), nullable=True),
            sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_users_company_id")),
            sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_users_role_id")),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
            sa.UniqueConstraint("company_id", "email", name=op.f("uq_users_company_id_email")),
            sqlite_autoincrement=True,
        )
        op.grant_platform("users")
        op.create_index(op.f("ix_users_company_id"), "users", ["company_id"], unique=False)
        op.create_index(op.f("ix_users_email"), "users", ["email"], unique=False)
        op.create_index(op.f("ix_users_role_id"), "users", ["role_id"], unique=False)
        op.create_index(op.f("ix_users_username"), "users", ["username"], unique=True)


def downgrade() -> None:
    if op.holds("platform"):
        op.drop_index(op.f("ix_users_username"), table_name="users")
        op.drop_index(op.f("ix_users_role_id"), table_name="users")
        op.drop_index(op.f("ix_users_email"), table_name="users")
        op.drop_index(op.f("ix_users_company_id"), table_name="users")
        op.drop_table("users")

    if op.holds("shared"):
        op.drop_index(
            op.f("ix_global_document_chunks_document_id"), table_name="global_document_chunks", schema="tenantry_shared"
        )
        op.drop_table("global_document_chunks", schema="tenantry_shared")

    if op.holds("platform"):
        op.drop_index(op.f("ix_role_permissions_permission_id"), table_name="role_permissions")
        op.drop_table("role_permissions")

    op.drop_index(op.f("ix_messages_conversation_id_timestamp"), table_name="messages")
    op.drop_table("messages")
    op.drop_table("document_chunks")
    op.drop_index(op.f("ix_token_usage_user_id_created_at"), table_name="token_usage")
    op.drop_index(op.f("ix_token_usage_operation_type_operation_id"), table_name="token_usage")
    op.drop_table("token_usage")
    if op.holds("shared"):
        op.drop_table("global_documents", schema="tenantry_shared")

    op.drop_table("tenantry_counters")
    if op.holds("platform"):
        op.drop_table("roles")

    op.drop_table("profiles")
    if op.holds("platform"):
        op.drop_table("permissions")

    op.drop_index(op.f("ix_documents_uploaded_by_id"), table_name="documents")
    op.drop_index(op.f("ix_documents_uploaded_at"), table_name="documents")
    op.drop_index(op.f("ix_documents_processing_status"), table_name="documents")
    op.drop_table("documents")
    op.drop_index(op.f("ix_conversations_user_id_created_at"), table_name="conversations")
    op.drop_table("conversations")
    if op.holds("platform"):
        op.drop_table("companies")

    op.drop_index("ix_audit_log_time", table_name="audit_log")
    op.drop_index("ix_audit_log_resource", table_name="audit_log")
    op.drop_index(
        "ix_audit_log_failures",
        table_name="audit_log",
        postgresql_where=sa.text("status <> 'success'"),
        sqlite_where=sa.text("status <> 'success'"),
    )
    op.drop_table("audit_log")
    op.drop_table("audit_heads")
    op.drop_index(op.f("ix_agent_logs_message_id"), table_name="agent_logs")
    op.drop_index(op.f("ix_agent_logs_agent_type_created_at"), table_name="agent_logs")
    op.drop_table("agent_logs")
    if op.holds("platform"):
        op.drop_index(op.f("ix_access_logins_refreshes_login"), table_name="access_logins_refreshes")
        op.drop_table("access_logins_refreshes")
        op.drop_index(op.f("ix_access_logins_attempts_ends_at"), table_name="access_logins_attempts")
        op.drop_table("access_logins_attempts")
        op.drop_index(op.f("ix_access_logins_tenant"), table_name="access_logins")
        op.drop_index(op.f("ix_access_logins_subject"), table_name="access_logins")
        op.drop_index(op.f("ix_access_logins_impersonator"), table_name="access_logins")
        op.drop_index(op.f("ix_access_logins_expires_at"), table_name="access_logins")
        op.drop_table("access_logins")
