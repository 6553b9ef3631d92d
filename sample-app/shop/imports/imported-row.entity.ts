import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('imported_rows')
export class ImportedRow {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('uuid')
  importId!: string;

  @Column('text')
  text!: string;
}
