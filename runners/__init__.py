"""Programs in processes of their own: the supervisor and what it starts. The only room where tensors live."""
