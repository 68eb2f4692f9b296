/** Finds the images whose data is kept for some time after their deletion; as a rule there are few. */
export const SQL = `
create index pending_deletes on images (updated_at) where status = 'pending_delete';
`;
