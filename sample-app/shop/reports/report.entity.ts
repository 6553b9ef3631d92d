import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** How many orders there were at a moment. */
@Entity('reports')
export class Report {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('varchar', { length: 32 })
  at!: string;

  @Column('integer')
  orders!: number;
}
